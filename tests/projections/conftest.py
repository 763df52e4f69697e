"""A store with histories in it, and its views."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from amends.domain.aggregate import SagaAggregate
from amends.domain.events import SagaEvent
from amends.infrastructure.ports import Commit
from amends.infrastructure.postgres.store import PostgresStore, migrate_store
from amends.projections.runner import Runner, prepare
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

    async def shown(
        self, view: LiteralString, where: LiteralString = "true", *args: Any
    ) -> list[dict[str, Any]]:
        """What the view shows after all events were taken in."""
        await Runner(self.url, NAMESPACE).catch_up()
        return await self.query(f"SELECT * FROM test_views.{view} WHERE {where}", *args)

    async def query(self, query: LiteralString, *args: Any) -> list[dict[str, Any]]:
        cursor = await self.connection.execute(query, args)
        return await cursor.fetchall() if cursor.description else []


@pytest.fixture
async def place(views_database: str) -> AsyncIterator[Place]:
    async with (
        PostgresStore.open(views_database, NAMESPACE) as store,
        await psycopg.AsyncConnection.connect(
            views_database, autocommit=True, row_factory=dict_row
        ) as connection,
    ):
        yield Place(views_database, store, connection)


def types(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["type"] for row in rows]
