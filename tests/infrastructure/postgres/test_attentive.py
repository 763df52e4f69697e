"""The connection that looks at its socket before it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from amends.infrastructure.postgres.attentive import AttentiveConnection


@pytest.fixture
async def connection(database: str) -> AsyncIterator[AttentiveConnection]:
    async with await AttentiveConnection.connect(database, autocommit=True) as connected:
        connected.attentive = True
        yield connected


@asynccontextmanager
async def ticking() -> AsyncIterator[list[int]]:
    """Another task, which counts how often it has its turn."""
    turns = [0]

    async def tick() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    try:
        yield turns
    finally:
        task.cancel()


async def test_an_answer_at_once_and_a_late_one_both_come(connection: AttentiveConnection) -> None:
    for statement in ("SELECT 1", "SELECT 1 FROM pg_sleep(0.05)"):
        assert await (await connection.execute(statement)).fetchone() == (1,)


async def test_what_is_larger_than_a_socket_holds_comes_and_goes(connection: AttentiveConnection) -> None:
    long = "x" * 20_000_000
    cursor = await connection.execute("SELECT %s::text", [long])
    assert await cursor.fetchone() == (long,)


async def test_other_tasks_have_their_turn_while_one_statement_takes_long(
    connection: AttentiveConnection,
) -> None:
    async with ticking() as turns:
        await connection.execute("SELECT pg_sleep(0.2)")
        assert turns[0] > 100


async def test_other_tasks_have_their_turn_between_many_quick_statements(
    connection: AttentiveConnection,
) -> None:
    async with ticking() as turns:
        began = turns[0]
        await connection.execute("SELECT 1")
        async with asyncio.timeout(60):
            while turns[0] < began + 5:
                await connection.execute("SELECT 1")


async def test_an_error_is_raised_and_the_connection_goes_on(connection: AttentiveConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await connection.execute("SELECT 1/0")
    assert await (await connection.execute("SELECT 2")).fetchone() == (2,)


async def test_a_statement_that_is_given_up_is_cancelled_in_the_server(
    connection: AttentiveConnection,
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await connection.execute("SELECT pg_sleep(3600)")
    assert await (await connection.execute("SELECT 3")).fetchone() == (3,)


async def test_a_server_that_ends_the_connection_is_an_error(
    connection: AttentiveConnection, database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT 1")
    assert connection.broken


async def test_every_kind_of_work_counts_as_an_exchange(connection: AttentiveConnection) -> None:
    def grew(before: int) -> bool:
        return connection.exchanges > before

    before = connection.exchanges
    cursor = await connection.execute("SELECT 1")
    assert grew(before)
    before = connection.exchanges
    await cursor.fetchall()
    assert not grew(before)
    async with connection.transaction():
        assert grew(before)
        before = connection.exchanges
        async with connection.pipeline():
            await connection.execute("SELECT 1")
        assert grew(before)
        before = connection.exchanges
        await connection.cursor().executemany("SELECT %s", [(1,), (2,)])
        assert grew(before)
        before = connection.exchanges
        async with connection.cursor().copy("COPY (SELECT 1) TO STDOUT") as copy:
            async for _ in copy:
                pass
        assert grew(before)
        before = connection.exchanges
        async with connection.cursor("named") as named:
            await named.execute("SELECT 1")
        assert grew(before)
