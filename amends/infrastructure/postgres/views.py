"""Reading the views, and seeing to dead letters."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from amends.infrastructure.clock import fresh_name
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.copies import views
from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.queries import fill
from amends.infrastructure.storable import storable

QUERIES: Final = "amends.infrastructure.postgres.view_sql"


class PostgresViews:
    """The views of a namespace, whose tables must be there."""

    def __init__(self, link: Link, namespace: str) -> None:
        self._link = link
        self._schemas = {"views": views(namespace), "schema": namespace}

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, namespace: str) -> AsyncGenerator[PostgresViews]:
        """Connect."""
        async with Link(with_defaults(database_url), name="amends views") as link:
            yield cls(link, namespace)

    async def rows(self, query: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the statement of this name yields."""
        statement = fill(QUERIES, query, **self._schemas)
        given = {
            name: storable(value) if isinstance(value, str) else value for name, value in arguments.items()
        }

        async def read(connection: AsyncConnection) -> list[dict[str, Any]]:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(statement, given)
                return await cursor.fetchall()

        return await self._link.run(read)

    async def letter(self, message_id: str) -> Outgoing | None:
        """The message of a dead letter, to be sent again to where it came from; None: there is no such letter."""
        found = await self.rows("take_letter", {"message_id": message_id})
        if not found:
            return None
        [row] = found
        # The broker would take the id that it had for a repeat.
        return Outgoing(
            row["message_id"], row["subject"], json.loads(row["headers"]), row["body"], fresh_name()
        )

    async def requeue(self, letter: Outgoing, by: str, reason: str) -> Outgoing | None:
        """Take it off the list and put it into the outbox, under a new name; None: there is no such letter any more."""
        arguments = {
            "message_id": letter.message_id,
            "deduplication_id": letter.deduplication_id,
            "by": by,
            "reason": reason,
        }
        found = await self.rows("requeue_letter", arguments)
        return replace(letter, message_id=found[0]["message_id"]) if found else None

    async def discard(self, message_id: str, by: str, reason: str) -> bool:
        """Take it off the list; False: there is no such letter any more."""
        arguments = {"message_id": message_id, "by": by, "reason": reason}
        return bool(await self.rows("discard_letter", arguments))
