"""Quarantine with whole workers, on real servers: what puts a saga there, and what gets it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from amends import ActionRefused, Client, Command, Event, Participant, Saga, Settings, Tx, Worker, step
from amends.infrastructure.embedded import Servers
from amends.infrastructure.ports import Quarantined
from amends.infrastructure.postgres.store import PostgresStore

SOON = timedelta(seconds=30)


class Asked(Event, subject="desk.asked"):
    key: str


class Open(Command, subject="desk.open"):
    pass


class Close(Command, subject="desk.close"):
    pass


def definition(*, mended: bool) -> type[Saga[Asked]]:
    """One version, as it was first written, and with its second step mended."""

    class Visit(Saga[Asked], name="visit", version=1, key="key"):
        @step
        def open(self) -> Open:
            return Open()

        @step
        def close(self) -> Close:
            if self.key == "odd" and not mended:
                raise LookupError("no such door")
            return Close()

    return Visit


class Desk:
    """A service that answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    def participant(self) -> Participant[None]:
        desk: Participant[None] = Participant("desk")

        @desk.handles(Open)
        async def open_(command: Open, tx: Tx) -> None:
            await self.may_answer.wait()

        @desk.handles(Close)
        async def close(command: Close, tx: Tx) -> None: ...

        return desk


async def in_quarantine(store: PostgresStore, saga_id: UUID) -> Quarantined:
    """The saga, as soon as it is there."""
    async with asyncio.timeout(30):
        while not (found := await store.quarantined(saga_id=saga_id)):  # noqa: ASYNC110 - a database table does not signal
            await asyncio.sleep(0.02)
    return found[0]


async def test_a_step_function_that_raises_stops_its_saga_alone_until_a_mended_worker_starts(
    servers: Servers, namespace: str
) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    desk = Desk()
    desk.may_answer.set()
    async with (
        Client(settings) as client,
        PostgresStore.open(servers.database_url, namespace) as store,
        desk.participant().running(settings),
    ):
        async with Worker([definition(mended=False)], settings):
            odd = await client.start(definition(mended=False), Asked(key="odd"))
            told = await in_quarantine(store, odd.id)
            assert told.error.startswith("LookupError: no such door (test_quarantine_on_servers.py, line ")
            assert (told.version, told.held) == (2, 1)
            other = await client.start(definition(mended=False), Asked(key="even"))
            assert await other.result(timeout=SOON) == "completed"
            with pytest.raises(ActionRefused, match="is in quarantine"):
                await client.cancel(odd.id, reason="enough")
            await client.release(odd.id, reason="too early")
            assert (await in_quarantine(store, odd.id)).held == 1
        async with Worker([definition(mended=True)], settings):
            assert await odd.result(timeout=SOON) == "completed"
        assert await store.quarantined() == []


async def test_an_event_that_cannot_be_read_stops_its_saga_alone_until_an_operator_releases_it(
    servers: Servers, namespace: str
) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    desk = Desk()
    visit = definition(mended=True)
    async with (
        Client(settings) as client,
        PostgresStore.open(servers.database_url, namespace) as store,
        Worker([visit], settings),
        desk.participant().running(settings),
    ):
        run = await client.start(visit, Asked(key="odd"))
        await recorded(store, run.id, lambda history: len(history) == 2)
        await damage(servers.database_url, namespace, run.id)
        desk.may_answer.set()
        told = await in_quarantine(store, run.id)
        assert "UnreadableEvent" in told.error
        assert "step.skipped" in told.error
        other = await client.start(visit, Asked(key="even"))
        assert await other.result(timeout=SOON) == "completed"
        await forget(servers.database_url, namespace, run.id)
        await client.release(run.id, reason="restored")
        assert await run.result(timeout=SOON) == "completed"


@pytest.mark.semantics("quarantine-database")
async def test_what_the_database_refuses_stops_its_saga_alone(servers: Servers, namespace: str) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    visit = definition(mended=True)
    desk = Desk()
    desk.may_answer.set()
    async with (
        Client(settings) as client,
        PostgresStore.open(servers.database_url, namespace) as store,
        Worker([visit], settings),
        desk.participant().running(settings),
    ):
        limit = "ALTER TABLE {schema}.sagas ADD CONSTRAINT no_odd_keys CHECK (key <> 'odd')"
        await execute(servers.database_url, namespace, limit)
        runs = await client.start_many(visit, [Asked(key=key) for key in ("a", "odd", "b")])
        told = await in_quarantine(store, runs[1].id)
        assert told.error.startswith("CommitRefused: the database refuses to store it: new row")
        assert "no_odd_keys" in told.error
        assert [await run.result(timeout=SOON) for run in (runs[0], runs[2])] == ["completed", "completed"]
        no_limit = "ALTER TABLE {schema}.sagas DROP CONSTRAINT no_odd_keys"
        await execute(servers.database_url, namespace, no_limit)
        await client.release(runs[1].id, reason="the limit is gone")
        assert await runs[1].result(timeout=SOON) == "completed"


async def recorded(store: PostgresStore, saga_id: UUID, so: Callable[[list[Any]], bool]) -> None:
    async with asyncio.timeout(30):
        while not so(await store.history(saga_id)):  # noqa: ASYNC110 - nor does this one
            await asyncio.sleep(0.02)


async def damage(url: str, schema: str, saga_id: UUID) -> None:
    """Somebody put an event into its history that is not what its type says."""
    await execute(
        url,
        schema,
        "INSERT INTO {schema}.events (originator_id, originator_version, topic, state) "
        "SELECT saga_id, version + 1, 'step.skipped:1', '{{}}' FROM {schema}.sagas WHERE saga_id = %s",
        saga_id,
    )
    await execute(
        url,
        schema,
        "UPDATE {schema}.sagas SET version = version + 1, expected = version WHERE saga_id = %s",
        saga_id,
    )


async def forget(url: str, schema: str, saga_id: UUID) -> None:
    await execute(
        url,
        schema,
        "DELETE FROM {schema}.events WHERE originator_id = %s AND topic = 'step.skipped:1'",
        saga_id,
    )
    await execute(
        url,
        schema,
        "UPDATE {schema}.sagas SET version = version - 1, expected = version - 2 WHERE saga_id = %s",
        saga_id,
    )


async def execute(url: str, schema: str, statement: str, saga_id: UUID | None = None) -> None:
    query = sql.SQL(statement).format(schema=sql.Identifier(schema))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(query, [saga_id] if saga_id else None)
