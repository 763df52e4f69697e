"""Columns of values as binary arrays."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import AsyncConnection

from amends.infrastructure.postgres.arrays import Bodies, Texts


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


async def test_what_no_text_can_hold_is_refused_by_the_server(database: str) -> None:
    async with await AsyncConnection.connect(database) as connection:
        with pytest.raises(psycopg.errors.CharacterNotInRepertoire):
            await connection.execute("SELECT %b::text[]", [Texts(["a\x00b"])])
