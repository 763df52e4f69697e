"""Dead letters as messages, and text from anywhere as a header can carry it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from amends.domain import wire
from amends.infrastructure.ports import Incoming, Outgoing

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LONGEST_REASON: Final = 1000


def dead_letter(
    namespace: str, where: str, message: Incoming, message_id: str, reason: str, limit: int = wire.MAX_MESSAGE
) -> Outgoing:
    """The message on `ns.dead.<where>`: the original, with the reason and where it came from.

    Headers that cannot travel are written plainly; a body is cut where it does not fit into `limit` bytes.
    """
    headers = {
        name: plain(value)
        for name, value in message.headers.items()
        if _HEADER_NAME.fullmatch(name) and not name.lower().startswith("nats-")
    }
    headers.setdefault(wire.CE_ID, message_id)
    headers[wire.DEAD_REASON] = plain(plain(reason)[:_LONGEST_REASON])
    headers[wire.DEAD_SUBJECT] = plain(message.subject)
    headers[wire.DEAD_SEQUENCE] = str(message.sequence)
    body = message.body
    if _size(headers, body) > limit:
        headers[wire.DEAD_CUT] = str(len(body))
        body = body[: max(0, limit - _size(headers, b""))]
    subject = wire.dead_subject(namespace, where)
    return Outgoing(message_id, subject, headers, body, f"dead/{message_id}")


def headers_size(headers: Mapping[str, str]) -> int:
    """How many bytes headers have at most as they travel with an answer."""
    size = sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers)
    if "".join(headers.values()).isascii():
        return size
    return size + sum(len(plain(value)) - len(value) for value in headers.values())


def plain(text: str) -> str:
    """Text as one line of printable ASCII, which every header and every column can carry."""
    if not text.isascii():
        text = text.encode("ascii", errors="backslashreplace").decode("ascii")
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return text.strip()


def all_plain(headers: dict[str, str]) -> dict[str, str]:
    """These headers with plain values; nearly always as they are."""
    values = "".join(headers.values())
    if values.isascii() and values.isprintable() and " " not in values:
        return headers
    return {name: plain(value) for name, value in headers.items()}


def header(value: str) -> str:
    """The value as one line of ASCII that arrives as it is; what would not is percent-encoded, all of it."""
    plain = value.isascii() and value.isprintable() and value == value.strip() and "%" not in value
    return value if plain else quote(value)


def _size(headers: Mapping[str, str], body: bytes) -> int:
    # The rest is for the version line, and for the deduplication id that the publisher adds.
    return len(body) + headers_size(headers) + 512
