"""Which workers run, kept in the store's schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from amends.domain.history import readable_topics
from amends.infrastructure.ports import MissingVersion
from amends.infrastructure.postgres.batch import QUERIES
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.queries import load


class PostgresWorkers:
    """The `Workers` port on PostgreSQL."""

    def __init__(self, link: Link, schema: str) -> None:
        self._link = link
        self._schema = schema

    async def seen(self, worker: str, definitions: Collection[tuple[str, int]]) -> None:
        sagas, versions = [saga for saga, _ in definitions], [version for _, version in definitions]
        arguments = {"worker": worker, "sagas": sagas, "definitions": versions, "topics": readable_topics()}
        await self._run("worker_seen", arguments)

    async def gone(self, worker: str) -> None:
        await self._run("worker_gone", {"worker": worker})

    async def missing(self) -> Sequence[MissingVersion]:
        return [MissingVersion(*row) for row in await self._run("missing_versions", {})]

    async def types(self) -> frozenset[str]:
        return frozenset(saga for (saga,) in await self._run("running_types", {}))

    async def _run(self, query: str, arguments: Mapping[str, Any]) -> list[Any]:
        async def work(connection: AsyncConnection) -> list[Any]:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(load(QUERIES, query, self._schema), arguments)
            return await cursor.fetchall() if cursor.description else []

        return await self._link.run(work)
