"""The tables of the store: made once, by whoever comes first."""

from __future__ import annotations

import asyncio

import psycopg

from amends.infrastructure.postgres.migrate import read_migrations
from amends.infrastructure.postgres.store import MIGRATIONS, PostgresStore, migrate_store
from tests.infrastructure.store_data import new, started

_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_schema = 'test' ORDER BY table_name, column_name
"""
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'test' ORDER BY indexname"


async def _schema(url: str) -> list[object]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = [await (await connection.execute(query)).fetchall() for query in (_COLUMNS, _INDEXES)]
    assert all(found)
    return list(found)


async def test_several_programs_start_at_once(database: str) -> None:
    async def start() -> None:
        async with PostgresStore.open(database, "test") as store:
            assert await store.commit(new(started())) == frozenset()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(start())
    async with await psycopg.AsyncConnection.connect(database) as connection:
        rows = await (await connection.execute("SELECT version FROM test.migrations")).fetchall()
    assert [version for (version,) in rows] == [each.version for each in read_migrations(MIGRATIONS)]


async def test_migrating_again_changes_nothing(database: str) -> None:
    await migrate_store(database, "test")
    first = await _schema(database)
    await migrate_store(database, "test")
    assert await _schema(database) == first
