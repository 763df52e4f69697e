"""A store with histories in it, and its views."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from amends.domain.aggregate import SagaAggregate
from amends.domain.events import SagaEvent
from amends.domain.history import Recorded
from amends.infrastructure.ports import Commit
from amends.infrastructure.postgres.store import PostgresStore, migrate_store
from amends.projections.installing import prepare
from amends.projections.runner import Runner
from tests.conftest import DatabaseFrom
from tests.infrastructure.store_data import row

NAMESPACE: Final = "test"


async def _migrate(url: str) -> None:
    await migrate_store(url, NAMESPACE)
    await prepare(url, NAMESPACE)


@pytest.fixture
async def views_database(database_from: DatabaseFrom) -> str:
    return await database_from("views", _migrate)


class Place:
    """A store whose histories are written as told, and what its views show."""

    def __init__(self, url: str, store: PostgresStore, connection: psycopg.AsyncConnection[Any]) -> None:
        self.url = url
        self.store = store
        self.connection = connection
        self._sagas: dict[UUID, SagaAggregate] = {}

    async def record(self, saga_id: UUID, *events: SagaEvent) -> None:
        """Append these to the saga's history, in one commit."""
        aggregate = self._sagas.setdefault(saga_id, SagaAggregate(saga_id))
        before = aggregate.version
        aggregate.append(events)
        assert not await self.store.commit(Commit([aggregate], [row(aggregate, before)]))

    async def record_many(self, events: Sequence[tuple[UUID, SagaEvent]]) -> None:
        """Append these to the histories of their sagas, in their order, in one transaction."""
        recorded: list[Recorded] = []
        for saga_id, event in events:
            recorded += self._sagas.setdefault(saga_id, SagaAggregate(saga_id)).append([event])
        changed = [self._sagas[saga_id] for saga_id in dict.fromkeys(saga_id for saga_id, _ in events)]
        rows = [(each.state, each) for each in changed]
        async with self.connection.transaction(), self.connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO test.events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
                [(each.originator_id, each.originator_version, each.topic, each.stored) for each in recorded],
            )
            await cursor.executemany(
                "INSERT INTO test.sagas (saga_id, saga, definition, key, status, version, expected)"
                " VALUES (%s, %s, %s, %s, %s, %s, 0)"
                " ON CONFLICT (saga_id) DO UPDATE SET status = excluded.status, version = excluded.version",
                [(a.id, s.saga, s.definition, s.key, str(s.status), a.version) for s, a in rows if s],
            )

    async def forget_histories(self) -> None:
        """As if nothing had been recorded; the views still show it."""
        await self.query("TRUNCATE test.events, test.sagas")
        await self.query("UPDATE test.projections SET position = 0")
        self._sagas.clear()

    async def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every live copy, in an order of its own."""
        live = await self.query("SELECT name, copy FROM test.projections WHERE state = 'live' ORDER BY name")
        found: dict[str, list[dict[str, Any]]] = {}
        for copy in live:
            schema = f"test_views_{copy['name']}_{copy['copy']}"
            names = await self.query("SELECT tablename FROM pg_tables WHERE schemaname = %s", schema)
            for name in sorted(each["tablename"] for each in names):
                rows = await self.query(
                    f"SELECT to_jsonb(t) AS row FROM {schema}.{name} AS t ORDER BY to_jsonb(t)"
                )
                found[f"{copy['name']}.{name}"] = [each["row"] for each in rows]
        return found

    async def positions(self) -> dict[str, int]:
        """The places of the live copies."""
        rows = await self.query("SELECT name, position FROM test.projections WHERE state = 'live'")
        return {row["name"]: row["position"] for row in rows}

    async def shown(self, view: str, where: str = "true", *args: Any) -> list[dict[str, Any]]:
        """What the view shows after all events were taken in."""
        await Runner(self.url, NAMESPACE).catch_up()
        return await self.query(f"SELECT * FROM test_views.{view} WHERE {where}", *args)

    async def query(self, query: str, *args: Any) -> list[dict[str, Any]]:
        cursor = await self.connection.execute(query.encode(), args or None)
        return await cursor.fetchall() if cursor.description is not None else []


@pytest.fixture
async def place(views_database: str) -> AsyncIterator[Place]:
    async with (
        PostgresStore.open(views_database, NAMESPACE) as store,
        await psycopg.AsyncConnection.connect(
            views_database, autocommit=True, row_factory=dict_row
        ) as connection,
    ):
        yield Place(views_database, store, connection)
