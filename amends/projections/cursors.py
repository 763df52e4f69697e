"""Page cursors: where a page ended, as one word that belongs to a list and its filters."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from amends.domain.errors import AmendsError

Place: TypeAlias = Sequence[datetime | UUID | str]
"""The columns that say where in a list a row stands."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DIGEST: Final = 4  # bytes of each of the two digests


class BadCursor(AmendsError):
    """A page cursor is not one that was handed out."""


def cursor(query: str, place: Place) -> str:
    """The cursor of a page that ended there; `query` tells the list and its filters."""
    body = _digest(query.encode()) + b"".join(map(_packed, place))
    return urlsafe_b64encode(_digest(body) + body).decode().rstrip("=")


def read_cursor(query: str, text: str) -> Place | None:
    """Where the page ended; None: it is a cursor of another list or of other filters. Raises `BadCursor`."""
    try:
        found = urlsafe_b64decode((text + "=" * (-len(text) % 4)).encode("ascii"))
    except ValueError:  # no base 64
        found = b""
    proof, body = found[:_DIGEST], found[_DIGEST:]
    if not body or proof != _digest(body):
        raise BadCursor(f"expected a cursor as the page before gave it, got {text!r}")
    if body[:_DIGEST] != _digest(query.encode()):
        return None
    return list(_unpacked(body[_DIGEST:]))


def _packed(value: datetime | UUID | str) -> bytes:
    if isinstance(value, datetime):
        return b"t" + ((value - _EPOCH) // _MICROSECOND).to_bytes(8, signed=True)
    if isinstance(value, UUID):
        return b"u" + value.bytes
    text = value.encode()
    return b"s" + len(text).to_bytes(2) + text


def _unpacked(packed: bytes) -> Iterator[datetime | UUID | str]:
    while packed:
        kind, rest = packed[:1], packed[1:]
        if kind == b"t":
            size = 8
            yield _EPOCH + int.from_bytes(rest[:size], signed=True) * _MICROSECOND
        elif kind == b"u":
            size = 16
            yield UUID(bytes=rest[:size])
        else:
            size = 2 + int.from_bytes(rest[:2])
            yield rest[2:size].decode()
        packed = rest[size:]


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_DIGEST]
