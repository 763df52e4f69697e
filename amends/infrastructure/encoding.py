"""Messages as bytes, checked before they are sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from amends.domain import wire
from amends.domain.value import value
from amends.infrastructure.broker import MessageTooLarge, NotStored, Unsendable
from amends.infrastructure.headers import Headers, plain
from amends.infrastructure.ports import Outgoing

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BLOCK: Final = f"NATS/1.0\r\n%b{wire.NATS_MSG_ID}: %b\r\n\r\n".encode()


@value(frozen=True, slots=True)
class Encoded:
    """A message with its header block; `size` is what counts against the server's limit."""

    message: Outgoing
    headers: bytes
    size: int

    def frame(self, reply: str) -> bytes:
        """The command that publishes it, and has its acknowledgement sent to `reply`."""
        message, headers = self.message, self.headers
        line = f"HPUB {message.subject} {reply} {len(headers)} {self.size}\r\n"
        return b"".join((line.encode(), headers, message.body, b"\r\n"))


def encode(messages: Sequence[Outgoing]) -> list[Encoded]:
    """Raises Unsendable, naming all messages that would not arrive as they are."""
    encoded: list[Encoded] = []
    bad: list[NotStored] = []
    for message in messages:
        identity = message.deduplication_id or message.message_id
        if type(message.headers) is Headers:
            block = _BLOCK % (message.headers.lines, identity.encode())
        else:
            headers = {**message.headers, wire.NATS_MSG_ID: identity}
            if not _is_plain(message.subject, headers) and (reason := _why_not(message.subject, headers)):
                bad.append(NotStored(message, reason))
                continue
            block = b"NATS/1.0\r\n%b\r\n" % plain(headers).lines
        encoded.append(Encoded(message, block, len(block) + len(message.body)))
    if bad:
        raise Unsendable(bad)
    return encoded


def check_sizes(messages: Sequence[Encoded], max_payload: int) -> None:
    """Raises MessageTooLarge. Headers count."""
    large = [
        NotStored(
            each.message,
            f"{each.size} bytes with its headers, and the server takes at most {max_payload} "
            "(its `max_payload`). Send less, or a reference to where the data is",
        )
        for each in messages
        if each.size > max_payload
    ]
    if large:
        raise MessageTooLarge(large)


def _is_plain(subject: str, headers: dict[str, str]) -> bool:
    """Whether nothing can be wrong with it, as with nearly every message: found without looking at each header."""
    values = list(headers.values())
    text = "".join(values)
    return (
        text.isascii()
        and "\n" not in text
        and "\r" not in text
        and list(map(str.strip, values)) == values
        and _are_names(tuple(headers))
        and subject.split() == [subject]
    )


def _why_not(subject: str, headers: dict[str, str]) -> str:
    """What is wrong with it; nothing where it can travel."""
    if subject.split() != [subject]:
        return f"a subject must be one word, without blanks; it is {subject!r}"
    for name, text in headers.items():
        if not _is_name(name):
            return f"a header's name must be a plain ASCII word; it is {name!r}"
        if "\n" in text or "\r" in text:
            return f"header {name} has a line break: {text!r}. Encode it"
        if text != text.strip():
            return f"header {name} has blanks at its ends, which do not arrive: {text!r}. Encode them"
        if not text.isascii() and not _is_encodable(text):
            return f"header {name} cannot be written as UTF-8: {text!r}"
    return ""


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


@lru_cache(maxsize=256)
def _are_names(names: tuple[str, ...]) -> bool:
    return all(map(_is_name, names))


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
