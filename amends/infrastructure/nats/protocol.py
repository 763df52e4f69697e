"""What is written in NATS's protocol: the line and the header block of a message."""

from __future__ import annotations

from typing import Final

from nats.errors import ProtocolError

from amends.infrastructure.headers import fields

END: Final = b"\r\n"

_WITHOUT_REPLY: Final = 4
"""Words of a message's line, but for the size of its headers."""


def message_at(data: bytes, at: int, end: int) -> tuple[int, str, str, bytes, bytes, int] | None:
    """The message whose line is `data[at:end]`, and where it ends; None: not all of it is there.

    Its subscription, subject, reply subject, header block and body. Raises ProtocolError.
    """
    subscription, subject, reply, head, size = _line(data[at:end])
    start = end + len(END)
    body, stop = start + head, start + size
    if len(data) < stop + len(END):
        return None
    return subscription, subject, reply, data[start:body], data[body:stop], stop + len(END)


def _line(line: bytes) -> tuple[int, str, str, int, int]:
    """Subscription, subject, reply subject, and the sizes of the headers and of all.

    `MSG <subject> <sid> [reply] <size>`, or `HMSG` with the size of the headers before that of all.
    """
    try:
        words = line.decode().split()
        headers = int(words.pop(-2)) if words[0] == "HMSG" else 0
        reply = words.pop(3) if len(words) > _WITHOUT_REPLY else ""
        _, subject, subscription, size = words
        return int(subscription), subject, reply, headers, int(size)
    except (ValueError, IndexError):
        raise ProtocolError(f"nats: malformed message line: {line[:200]!r}") from None


def header_fields(block: bytes) -> dict[str, str]:
    """The headers of a message; where the server tells a status, that is `Status` and `Description`."""
    first, _, rest = block.decode("utf-8", "replace").partition("\r\n")
    found = fields(rest)
    _, _, status = first.partition(" ")
    if status:
        found["Status"], _, found["Description"] = status.strip().partition(" ")
    return found
