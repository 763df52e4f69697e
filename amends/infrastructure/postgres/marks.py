"""Marks of the broker's streams, kept beside the outbox whose messages they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from amends.infrastructure.broker import Mark
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.queries import load

_QUERIES: Final = "amends.infrastructure.postgres.outbox_sql"


class PostgresMarks:
    """The `MarkStore` in the schema of an outbox; `migrate_outbox` makes its table."""

    def __init__(self, link: Link, schema: str) -> None:
        self._link = link
        self._load = load(_QUERIES, "load_marks", schema)
        self._store = load(_QUERIES, "store_marks", schema)

    async def load(self) -> dict[str, Mark]:
        """All marks, by `Mark.stream`."""

        async def work(connection: AsyncConnection) -> dict[str, Mark]:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(self._load)
            return {row[0]: Mark(*row) for row in await cursor.fetchall()}

        return await self._link.run(work)

    async def store(self, marks: Mapping[str, Mark]) -> None:
        """Keep these marks in place of those of the same name; others stay."""
        values = list(marks.values())

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                self._store,
                {
                    "streams": [mark.stream for mark in values],
                    "created": [mark.created for mark in values],
                    "sequences": [mark.sequence for mark in values],
                    "ids": [mark.message_id for mark in values],
                },
            )

        if values:
            await self._link.run(work)
