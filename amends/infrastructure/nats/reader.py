"""NATS's protocol as it is read: messages go straight to whoever takes them, without a queue or a task for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

Taker: TypeAlias = Callable[[str, str, bytes, bytes], None]
"""Is called with the subject, the reply subject, the header block and the body of each message."""

_MESSAGES: Final = (b"MSG ", b"HMSG ")
_END: Final = b"\r\n"


class Reader(Parser):
    """In place of the original parser, which goes on doing everything but messages.

    `takers` are called for the messages of their subscriptions; those of all others go the original's way.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.takers: dict[int, Taker] = {}

    async def parse(self, data: bytes = b"") -> None:
        """Raises ProtocolError. What a taker raises is told as the connection's error, and nothing more."""
        buffer = self.buf  # another one after a `reset`
        buffer += data
        data = bytes(buffer)
        buffer.clear()
        at = 0
        while (end := data.find(_END, at)) >= 0:
            if not data.startswith(_MESSAGES, at):
                await super().parse(data[at : end + 2])
                at = end + 2
                continue
            subscription, subject, reply, head, size = _message_line(data[at:end])
            start, stop = end + 2, end + 2 + size
            if len(data) < stop + 2:
                break
            headers, body = data[start : start + head], data[start + head : stop]
            taker = self.takers.get(subscription)
            if taker is None:
                await self.nc._process_msg(subscription, subject.encode(), reply.encode(), body, headers)
            else:
                try:
                    taker(subject, reply, headers, body)
                except Exception as error:  # noqa: BLE001 - the others' messages must go on
                    await self.nc._error_cb(error)
            at = stop + 2
        buffer += data[at:]


def _message_line(line: bytes) -> tuple[int, str, str, int, int]:
    """Subscription, subject, reply subject, and the sizes of the headers and of all.

    `MSG <subject> <sid> [reply] <size>`, or `HMSG` with the size of the headers before that of all.
    """
    try:
        operation, subject, subscription, *reply, size = line.decode().split()
        headers = int(reply.pop()) if operation == "HMSG" else 0
        return int(subscription), subject, reply[0] if reply else "", headers, int(size)
    except (ValueError, IndexError):
        raise ProtocolError(f"nats: malformed message line: {line[:200]!r}") from None


def header_fields(block: bytes) -> dict[str, str]:
    """The headers of a message; where the server tells a status, that is `Status` and `Description`."""
    first, _, rest = block.decode("utf-8", "replace").partition("\r\n")
    fields: dict[str, str] = {}
    _, _, status = first.partition(" ")
    if status:
        fields["Status"], _, fields["Description"] = status.strip().partition(" ")
    for line in rest.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    return fields
