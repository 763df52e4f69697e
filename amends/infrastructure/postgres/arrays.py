"""Columns of values as PostgreSQL's binary arrays, for statements that take a batch at once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import ClassVar, Final
from uuid import UUID

from psycopg import DataError

from amends.infrastructure.postgres.dumping import register

_LENGTH: Final = Struct("!i")
_MISSING: Final = _LENGTH.pack(-1)
_INTEGER: Final = Struct("!ii")  # each with its length before it
_BIGINT: Final = Struct("!iq")
_UUID_LENGTH: Final = _LENGTH.pack(16)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Column:
    """Values of one type, as an array. It takes a third of the time that psycopg needs for a list.

    To be used with `%(name)b`. `elements` are the values as the array has them: each with its length before it.
    """

    __slots__ = ("elements",)

    kind: ClassVar[str]

    def __init__(self, elements: Sequence[bytes]) -> None:
        self.elements = elements


class Bodies(Column):
    """A `bytea[]`."""

    __slots__ = ()

    kind = "bytea"

    def __init__(self, values: Sequence[bytes | None]) -> None:
        length = _LENGTH.pack
        super().__init__([_MISSING if value is None else length(len(value)) + value for value in values])


class Encoded(Bodies):
    """A `text[]` of what is UTF-8 already."""

    __slots__ = ()

    kind = "text"


class Texts(Bodies):
    """A `text[]`."""

    __slots__ = ()

    kind = "text"

    def __init__(self, values: Sequence[str | None]) -> None:
        super().__init__([None if value is None else value.encode() for value in values])


class Names(Column):
    """A `text[]` of few different values, which come again and again."""

    __slots__ = ()

    kind = "text"

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__(list(map(_name, values)))


class Ids(Column):
    """A `uuid[]`."""

    __slots__ = ()

    kind = "uuid"

    def __init__(self, values: Sequence[UUID | None]) -> None:
        to_bytes = int.to_bytes
        super().__init__(
            [_MISSING if value is None else _UUID_LENGTH + to_bytes(value.int, 16, "big") for value in values]
        )


class Integers(Column):
    """An `integer[]`. Raises DataError."""

    __slots__ = ()

    kind = "int4"

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(_packed(_INTEGER, values))


class Numbers(Column):
    """A `bigint[]`. Raises DataError."""

    __slots__ = ()

    kind = "int8"

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(_packed(_BIGINT, values))


class Moments(Column):
    """A `timestamptz[]`, of aware times."""

    __slots__ = ()

    kind = "timestamptz"

    def __init__(self, values: Sequence[datetime | None]) -> None:
        super().__init__([_MISSING if value is None else _moment(value - _EPOCH) for value in values])


def _moment(since: timedelta) -> bytes:
    return _BIGINT.pack(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _packed(layout: Struct, values: Sequence[int]) -> list[bytes]:
    try:
        return list(map(layout.pack, repeat(layout.size - _LENGTH.size), values))
    except struct.error as error:
        raise DataError(f"expected numbers of {layout.size - _LENGTH.size} bytes: {error}") from error


@lru_cache(maxsize=1024)
def _name(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


for _each in (Bodies, Encoded, Texts, Names, Ids, Integers, Numbers, Moments):
    register(_each, _each.kind)
