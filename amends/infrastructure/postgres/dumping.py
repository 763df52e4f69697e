"""Tells psycopg how columns of values are sent."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, Protocol

from psycopg import adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format

# Dimensions, whether values may be missing, the values' type, how many, the first one's index.
_ARRAY: Final = Struct("!iiIii")


class Elements(Protocol):
    """What is sent as an array: each element with its length before it."""

    elements: Sequence[bytes]


def register(column: type[Elements], kind: str) -> None:
    """Send columns of this class as binary arrays of this type."""
    type_ = adapters.types[kind]

    class ColumnDumper(Dumper):
        format = Format.BINARY
        oid = type_.array_oid

        def dump(self, obj: Elements) -> bytes:
            """The array in its binary form."""
            return _ARRAY.pack(1, 1, type_.oid, len(obj.elements), 1) + b"".join(obj.elements)

    adapters.register_dumper(column, ColumnDumper)
