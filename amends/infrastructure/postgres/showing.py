"""What the live copies show already."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from amends.infrastructure.postgres.copies import QUERIES, views
from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.queries import fill


class Showing:
    """Asks how far the live copies are."""

    def __init__(self, link: Link, namespace: str) -> None:
        self._link = link
        self._namespace = namespace
        self._shows = fill(QUERIES, "shows", schema=namespace)
        self._status = fill(QUERIES, "status", views=views(namespace))

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, namespace: str) -> AsyncGenerator[Showing]:
        async with Link(with_defaults(database_url), name="amends views") as link:
            yield cls(link, namespace)

    async def shows(self, saga_id: UUID, version: int, projections: Sequence[str]) -> bool:
        """Whether all of these projections show this version of the saga."""
        facts = {"saga_id": saga_id, "version": version, "names": list(projections)}
        cursor = await self._link.run(lambda connection: connection.execute(self._shows, facts))
        [(shown,)] = await cursor.fetchall()
        return bool(shown)

    async def projections(self) -> list[dict[str, Any]]:
        """Every copy that is live or being built, as the view of that name tells it."""
        return await self._link.run(self._read_status)

    async def _read_status(self, connection: AsyncConnection) -> list[dict[str, Any]]:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._status, {"schema": self._namespace})
            return await cursor.fetchall()
