"""Jobs, kept in the store's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from amends.domain.events import JsonObject
from amends.infrastructure.jobs import Job, JobItem
from amends.infrastructure.postgres.batch import QUERIES
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.queries import load
from amends.infrastructure.storable import storable


class PostgresJobs:
    """The `Jobs` port on PostgreSQL."""

    def __init__(self, link: Link, schema: str) -> None:
        self._link = link
        self._schema = schema

    async def create(
        self, job: str, action: JsonObject, chosen_by: JsonObject, saga_ids: Sequence[UUID]
    ) -> bool:
        arguments = {"job": job, "action": Jsonb(action), "chosen_by": Jsonb(chosen_by), "saga_ids": saga_ids}
        [(made,)] = await self._run("create_job", arguments)
        return bool(made)

    async def find(self, job: str) -> Job | None:
        rows = await self._run("jobs", {"job": job, "limit": 1})
        return Job(*rows[0]) if rows else None

    async def latest(self, limit: int) -> Sequence[Job]:
        return [Job(*row) for row in await self._run("jobs", {"job": None, "limit": limit})]

    async def items(
        self, job: str, *, after: int = 0, open_only: bool = False, limit: int = 500
    ) -> Sequence[JobItem]:
        arguments = {"job": job, "after": after, "open": open_only, "limit": limit}
        return [JobItem(*row) for row in await self._run("job_items", arguments)]

    async def settle(self, job: str, item: JobItem) -> None:
        arguments = {"place": item.place, "result": item.result, "reason": storable(item.reason)}
        await self._run("settle_job_item", {"job": job, **arguments})

    async def choose(
        self, saga: str | None, definition: int | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        arguments = {"saga": saga, "definition": definition, "after": after, "limit": limit}
        return [saga_id for (saga_id,) in await self._run("choose_sagas", arguments)]

    async def _run(self, query: str, arguments: Mapping[str, Any]) -> list[Any]:
        async def work(connection: AsyncConnection) -> list[Any]:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(load(QUERIES, query, self._schema), arguments)
            return await cursor.fetchall() if cursor.description else []

        return await self._link.run(work)
