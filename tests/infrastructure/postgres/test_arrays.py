"""Columns of values as binary arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from amends.infrastructure.postgres.arrays import (
    Bodies,
    Column,
    Ids,
    Integers,
    Moments,
    Names,
    Numbers,
    Texts,
)


@pytest.mark.parametrize("values", [[], ["a"], ["", None, "größer", "x" * 100_000], [None]])
async def test_texts_arrive_as_they_are(database: str, values: list[str | None]) -> None:
    async with await AsyncConnection.connect(database) as connection:
        cursor = await connection.execute("SELECT %b::text[]", [Texts(values)])
        assert await cursor.fetchone() == (values,)


@pytest.mark.parametrize("values", [[], [b"a"], [b"", None, bytes(range(256))], [None]])
async def test_bodies_arrive_as_they_are(database: str, values: list[bytes | None]) -> None:
    async with await AsyncConnection.connect(database) as connection:
        cursor = await connection.execute("SELECT %b::bytea[]", [Bodies(values)])
        assert await cursor.fetchone() == (values,)


BEFORE = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 15, 30, 0, 1, tzinfo=timezone(timedelta(hours=-7)))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (Names, ["running", "running", "", "größer"]),
        (Ids, [UUID(int=0), None, UUID(int=2**128 - 1)]),
        (Integers, [0, -1, 2**31 - 1, -(2**31)]),
        (Numbers, [0, -1, 2**63 - 1, -(2**63)]),
        (Moments, [BEFORE, None, LATER]),
    ],
)
async def test_others_arrive_as_they_are(
    database: str, column: type[Column], values: Sequence[object]
) -> None:
    async with await AsyncConnection.connect(database) as connection:
        for given in (values, values[:1], []):
            cursor = await connection.execute("SELECT %b", [column(given)])  # type: ignore[arg-type]
            assert await cursor.fetchone() == (given,)


async def test_what_no_text_can_hold_is_refused_by_the_server(database: str) -> None:
    async with await AsyncConnection.connect(database) as connection:
        with pytest.raises(psycopg.errors.CharacterNotInRepertoire):
            await connection.execute("SELECT %b::text[]", [Texts(["a\x00b"])])
