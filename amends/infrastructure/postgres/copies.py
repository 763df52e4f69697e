"""Copies of read models in PostgreSQL: their tables, how far each has come, and who feeds it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from amends.domain.errors import AmendsError
from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.link import is_transient
from amends.infrastructure.postgres.migrate import ensure_schema, migrate
from amends.infrastructure.postgres.queries import fill
from amends.infrastructure.postgres.store import MIGRATIONS as STORE_MIGRATIONS

MIGRATIONS: Final = "amends.infrastructure.postgres.projection_migrations"
QUERIES: Final = "amends.infrastructure.postgres.projection_sql"

_LOCK_TIMEOUT: Final = "1s"
"""How long a swap or a drop waits for those who read: others who want to read queue up behind it."""


class Interrupted(AmendsError):
    """The database went away or refused, or another moved a copy that was thought to be ours: begin again."""


class Refused(AmendsError):
    """The database does not take what a projection made of the events."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One set of tables of a projection. `position` is the place of the last event that they show."""

    name: str
    number: int
    version: int
    state: str
    position: int


class Copies:
    """What a runner does with copies, on a connection of its own: with it, its hold on them ends.

    Events are read on another, so that the next can be read while rows are written.
    """

    def __init__(
        self, connection: AsyncConnection, reader: AsyncConnection, conninfo: str, namespace: str
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._conninfo = conninfo
        self._namespace = namespace

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, namespace: str) -> AsyncGenerator[Copies]:
        """Connect. Raises Interrupted, in the body too."""
        conninfo = with_defaults(database_url)
        try:
            async with (
                await _connected(conninfo, "amends projections") as connection,
                await _connected(conninfo, "amends projections read") as reader,
            ):
                # Rows and position are lost together, or not at all: nobody need wait for the disk.
                await connection.execute("SET synchronous_commit TO off")
                yield cls(connection, reader, conninfo, namespace)
        except psycopg.Error as error:
            raise Interrupted(f"the projections of {namespace!r} cannot go on: {error}") from error

    async def migrate(self) -> None:
        """Make the tables that are needed beside the event store's; several programs may do so at once."""
        await migrate(self._conninfo, STORE_MIGRATIONS, self._namespace)
        await migrate(self._conninfo, MIGRATIONS, self._namespace)

    async def all(self) -> list[Copy]:
        """Every copy."""
        return [Copy(*row) for row in await self._query("copies", {})]

    async def take(self, copy: Copy) -> bool:
        """Whether it is ours to feed: until we give it up, or the connection ends, nobody else does."""
        [(taken,)] = await self._query("lock", self._named(copy))
        return bool(taken)

    async def give_up(self, copy: Copy, error: str = "") -> None:
        """Let another feed it; `error` tells readers why it does not go on."""
        if error:
            await self._query("fail", self._named(copy) | {"error": error})
        await self._query("unlock", self._named(copy))

    async def progress(self, names: Sequence[str]) -> list[tuple[str, int, int, float | None, float | None]]:
        """Of copies that are being built: name, events taken in, events left, events per second, seconds left."""
        return await self._query("progress", {"names": list(names)})

    async def read(self, after: int, until: int | None, limit: int) -> list[tuple[int, str, int, str, bytes]]:
        """Events in the order of commits."""
        cursor = self._reader.cursor(binary=True)
        statement = fill(QUERIES, "read", schema=self._namespace)
        await cursor.execute(statement, {"after": after, "until": until, "limit": limit})
        return await cursor.fetchall()

    async def states(self, copy: Copy, package: str, saga_ids: Collection[str]) -> Mapping[str, str]:
        """Where the fold of these sagas stands."""
        found = await self._execute(fill(package, "load", copy=self._tables(copy)), {"ids": list(saga_ids)})
        return dict(found)

    async def change(
        self, copy: Copy, package: str, statement: str, columns: Mapping[str, list[Any]]
    ) -> None:
        """Run a statement of the projection; within `transaction`, which sends it on before the answer has come."""
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(fill(package, statement, copy=self._tables(copy)), columns)

    async def advance(self, copy: Copy, position: int, events: int, busy: timedelta) -> None:
        """Move it on, within the `transaction` of what it shows now. Raises Interrupted where it is not ours."""
        facts = {
            **self._named(copy), "state": copy.state, "expected": copy.position, "position": position,
            "events": events, "busy": busy, "channel": channel(self._namespace),
        }  # fmt: skip
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(fill(QUERIES, "advance", schema=self._namespace), facts)
        if not await cursor.fetchall():
            raise Interrupted(f"copy {copy.number} of projection {copy.name!r} was moved on by another")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """What the body does is done together, or not at all; in few round trips. Raises Refused."""
        try:
            async with self._connection.pipeline(), self._connection.transaction():
                yield
        except psycopg.Error as error:
            if self._connection.broken or is_transient(error):
                raise
            raise Refused(str(error)) from error

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """A transaction in which nobody else makes, swaps or drops copies."""
        async with self._connection.transaction():
            await self._query("lock_all", {"schema": self._namespace})
            yield

    async def make(self, name: str, version: int, package: str, state: str) -> Copy:
        """Empty tables in a schema of their own; within `alone`."""
        [(number,)] = await self._query("add_copy", {"name": name, "version": version, "state": state})
        if state == "live":
            await self._query("forget_views", {"name": name})
        copy = Copy(name, number, version, state, 0)
        schema = sql.Identifier(self._tables(copy))
        await self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        await self._connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
        await self._connection.execute(fill(package, "tables"))
        await self._connection.execute("RESET search_path")
        return copy

    async def show(
        self, name: str, version: int, package: str, statements: Sequence[str], copy: Copy | None = None
    ) -> None:
        """Make a group of views, of this copy where there is one, unless they are the same already, or newer; within
        `alone`.
        """
        schemas = {"schema": self._namespace, "views": views(self._namespace)}
        if copy is not None:
            schemas["copy"] = self._tables(copy)
        texts = [fill(package, statement, **schemas) for statement in statements]
        digest = hashlib.sha256(b"".join(texts)).hexdigest()
        if await self._query("views_version", {"name": name, "version": version, "digest": digest}):
            for text in texts:
                await self._connection.execute(text)

    async def ensure_schema(self) -> None:
        """The schema of the views; within `alone`."""
        if await ensure_schema(self._connection, views(self._namespace)):
            await self._query("forget_views", {"name": None})

    async def swap(self, copy: Copy, package: str) -> Copy | None:
        """Show this copy in place of the live one, which is returned; None: it has not come so far yet, or readers
        are in the way. Within `alone`.
        """
        try:
            async with self._connection.transaction():
                await self._connection.execute(f"SET LOCAL lock_timeout TO '{_LOCK_TIMEOUT}'")
                found = await self._query("swap", {"name": copy.name, "copy": copy.number})
                if not found:
                    return None
                await self._query("go_live", self._named(copy) | {"channel": channel(self._namespace)})
                await self.show(copy.name, copy.version, package, ["views"], copy)
        except psycopg.errors.LockNotAvailable:
            return None
        [(number,)] = found
        return Copy(copy.name, number, copy.version, "retired", copy.position)

    async def drop(self, copy: Copy) -> bool:
        """Delete it with its tables, unless readers are in the way; within `alone`."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(f"SET LOCAL lock_timeout TO '{_LOCK_TIMEOUT}'")
                schema = sql.Identifier(self._tables(copy))
                await self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
                await self._query("remove_copy", self._named(copy))
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _tables(self, copy: Copy) -> str:
        return f"{views(self._namespace)}_{copy.name}_{copy.number}"

    def _named(self, copy: Copy) -> dict[str, Any]:
        return {"schema": self._namespace, "name": copy.name, "copy": copy.number}

    async def _query(self, name: str, arguments: Mapping[str, Any]) -> list[Any]:
        return await self._execute(fill(QUERIES, name, schema=self._namespace), arguments)

    async def _execute(self, statement: bytes, arguments: Mapping[str, Any]) -> list[Any]:
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(statement, arguments)
        return await cursor.fetchall() if cursor.description else []


async def _connected(conninfo: str, name: str) -> AsyncConnection:
    return await AsyncConnection.connect(conninfo, autocommit=True, application_name=name)


def views(namespace: str) -> str:
    """The schema of the views of a namespace."""
    return f"{namespace}_views"


def channel(namespace: str) -> str:
    """Where it is told that a projection shows more."""
    return f"{namespace}.views"


def events_channel(namespace: str) -> str:
    """Where it is told that events were appended."""
    return f"{namespace}.events"
