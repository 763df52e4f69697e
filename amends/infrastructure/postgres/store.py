"""The store in PostgreSQL: histories through the event-sourcing library, and all that goes with them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from eventsourcing.persistence import DatabaseError
from psycopg.errors import UniqueViolation
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from amends.domain.correlation import LearntKey
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.history import Recorded, read, readable_topics
from amends.infrastructure.broker import MarkStore
from amends.infrastructure.headers import restored
from amends.infrastructure.ports import (
    Commit,
    CommitRefused,
    DeadLetter,
    Due,
    Held,
    Incoming,
    Loaded,
    Outgoing,
    Quarantined,
    SagaRow,
    Unclaimed,
    Which,
)
from amends.infrastructure.postgres.application import SagaApplication
from amends.infrastructure.postgres.batch import QUERIES, Batch, as_stored, columns_of
from amends.infrastructure.postgres.datastore import SagaDatastore, with_defaults
from amends.infrastructure.postgres.direct import Direct
from amends.infrastructure.postgres.jobs import PostgresJobs
from amends.infrastructure.postgres.limits import PostgresLimits
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.marks import PostgresMarks
from amends.infrastructure.postgres.migrate import migrate
from amends.infrastructure.postgres.patience import Patience
from amends.infrastructure.postgres.queries import load
from amends.infrastructure.postgres.reaching import reaching
from amends.infrastructure.postgres.workers import PostgresWorkers
from amends.infrastructure.shapes import compare
from amends.infrastructure.storable import storable

MIGRATIONS: Final = "amends.infrastructure.postgres.store_migrations"
_CONNECTIONS: Final = 4


class OutOfStep(AmendsError):
    """A saga's row and its history do not have the same version; nothing was saved."""


async def migrate_store(database_url: str, namespace: str) -> None:
    """Make the tables of a namespace, or bring them up to date; several programs may do so at once."""
    await migrate(with_defaults(database_url), MIGRATIONS, namespace)


class PostgresStore:
    """The `Store` port on PostgreSQL, one schema for each namespace; `marks` is the `MarkStore`,
    `workers` the `Workers`, `jobs` the `Jobs` and `limits` the `Limits` beside it.

    A commit whose connection broke may have happened. It is tried again, and then the rows are no longer as
    it expected, so it shows as a conflict and doubles nothing: load those sagas again and decide again.
    """

    def __init__(
        self, application: SagaApplication, patience: Patience, direct: Direct, marks: MarkStore, link: Link
    ) -> None:
        schema = application.datastore.schema
        self.application = application
        self.marks = marks
        self.workers = PostgresWorkers(link, schema)
        self.jobs = PostgresJobs(link, schema)
        self.limits = PostgresLimits(application.datastore, patience, schema)
        self._patience = patience
        self._direct = direct
        self._schema = schema

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, namespace: str) -> AsyncGenerator[PostgresStore]:
        """Connect, and migrate. Raises DatabaseUnreachable, MigrationRefused."""
        conninfo = with_defaults(database_url)
        async with AsyncExitStack() as stack:
            with reaching("the database URL (AMENDS_DATABASE_URL)"):
                await migrate_store(database_url, namespace)
                link = await stack.enter_async_context(Link(conninfo, name="amends marks"))
            patience = Patience(_CONNECTIONS)
            stack.callback(patience.close)
            application = SagaApplication(SagaDatastore(conninfo, namespace, _CONNECTIONS))
            stack.callback(application.close)
            direct = await stack.enter_async_context(Direct.open(conninfo, application))
            yield cls(application, patience, direct, PostgresMarks(link, namespace), link)

    async def load(self, saga_ids: Collection[UUID], *, in_quarantine: bool = False) -> Loaded:
        """These sagas: their histories in one query, and the clock with those in quarantine in another."""
        return await self._patience.run(self._load, list(saga_ids), in_quarantine)

    async def commit(self, commit: Commit) -> frozenset[UUID]:
        """All of it in one transaction, except what belongs to the sagas that are returned.

        Raises OutOfStep where a saga's row and its history do not have the same version; KeysTaken, CommitRefused.
        """
        batch = Batch(commit)
        try:
            if self._direct.suits(batch):
                return await self._direct.commit(batch)
            return await self._patience.run(self.application.commit, batch)
        except (DatabaseError, psycopg.Error) as error:
            cause = error if isinstance(error, psycopg.Error) else error.__cause__
            if _is_refusal(cause):
                raise CommitRefused(f"the database refuses to store it: {cause}") from error
            if not isinstance(cause, psycopg.IntegrityError):
                raise
            raise OutOfStep(
                f"schema {self._schema!r}: expected the tables `sagas` and `events` to agree on the version "
                f"of each saga; {error}. Nothing of this batch was saved. One of the tables was changed by "
                "hand, or restored without the other: restore both from one backup"
            ) from error

    async def take_due(
        self, definitions: Collection[tuple[str, int]], until: datetime | None, limit: int, lease: timedelta
    ) -> Due:
        arguments = {"until": until, "limit": limit, "lease": lease, **_versions(definitions)}
        return await self._patience.run(self._take_due, arguments)

    async def unpublished(self, limit: int, older_than: timedelta) -> Sequence[Outgoing]:
        rows = await self._query("unpublished", {"limit": limit, "older_than": older_than})
        return [
            Outgoing(message_id, subject, restored(headers), body, deduplication_id)
            for message_id, subject, headers, body, deduplication_id in rows
        ]

    async def published(self, message_ids: Collection[str]) -> None:
        """These are stored by the broker. Forgetting it in a crash only publishes them once more."""
        if message_ids:
            await self._patience.run(self._published, [storable(each) for each in message_ids])

    async def outstanding(
        self, saga_types: Collection[str], after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        rows = await self._query("outstanding", {"sagas": list(saga_types), "after": after, "limit": limit})
        return [saga_id for (saga_id,) in rows]

    async def register(self, shapes: Sequence[JsonObject]) -> None:
        if shapes:
            await self._patience.run(self._register, shapes)

    async def shapes(self) -> Sequence[JsonObject]:
        return [shape for (shape,) in await self._query("shapes", {})]

    async def take_held(self, definitions: Collection[tuple[str, int]], limit: int) -> Sequence[Held]:
        rows = await self._query("take_held", {"limit": limit, **_versions(definitions)})
        return [_held(*row) for row in rows]

    async def find(self, keys: Collection[LearntKey]) -> Mapping[LearntKey, UUID]:
        rows = await self._query("find_keys", columns_of(list(keys)))
        found = {LearntKey(saga, name, value): saga_id for saga, name, value, saga_id in rows}
        return {key: found[as_stored(key)] for key in keys if as_stored(key) in found}

    async def dead_letters(self, after: str, limit: int) -> Sequence[DeadLetter]:
        return [_letter(row) for row in await self._query("dead_letters", {"after": after, "limit": limit})]

    async def unclaimed(self, limit: int) -> Sequence[Unclaimed]:
        return [Unclaimed(*row) for row in await self._query("unclaimed", {"limit": limit})]

    async def release(self, saga_ids: Collection[UUID]) -> frozenset[UUID]:
        released = await self._query("release", {"saga_ids": list(saga_ids)})
        return frozenset(saga_id for (saga_id,) in released)

    async def release_unbegun(self, saga_id: UUID, request: str, by: str, reason: str) -> bool:
        given = {"saga_id": saga_id, "request": request, "by": by, "reason": storable(reason)}
        [(released,)] = await self._query("release_unbegun", given)
        return bool(released)

    async def release_versions(self, definitions: Collection[tuple[str, int]]) -> frozenset[UUID]:
        released = await self._query("release_versions", _versions(definitions))
        return frozenset(saga_id for (saga_id,) in released)

    async def quarantined(self, *, saga_id: UUID | None = None, limit: int = 1000) -> Sequence[Quarantined]:
        rows = await self._query("quarantined", {"saga_id": saga_id, "limit": limit})
        return [Quarantined(*row) for row in rows]

    async def history(self, saga_id: UUID) -> list[Recorded]:
        """The events of one saga. Raises UnreadableEvent."""
        return await self._patience.run(self.application.repository.history, saga_id)

    async def unread(self, saga_id: UUID) -> Sequence[Recorded]:
        """The events of one saga, each of which is read when it is looked at. Doing so raises UnreadableEvent."""
        return await self._patience.run(self.application.repository.unread, saga_id)

    async def histories(self, saga_ids: Collection[UUID]) -> Mapping[UUID, list[Recorded] | Exception]:
        """The events of each of these sagas, or why they cannot be read, in one query."""
        return await self._patience.run(self.application.repository.histories, saga_ids)

    async def recorded_since(
        self, since: datetime, types: Collection[str], after: int, limit: int
    ) -> list[tuple[int, Recorded]]:
        """Events of these types that can be read here, over all sagas, committed since then, in the order of commits
        with their places in it; `after` is the last place of the page before, 0 for the first.
        """
        topics = readable_topics(types)
        arguments = {"since": since, "topics": topics, "after": after, "limit": limit}
        return [(place, read(*event)) for place, *event in await self._query("recorded_since", arguments)]

    async def saga_rows(
        self,
        *,
        saga: str | None = None,
        key: str | None = None,
        saga_id: UUID | None = None,
        limit: int = 1000,
    ) -> list[SagaRow]:
        """Sagas by any of type, key and id, in the order of type and key."""
        arguments = {"saga": saga, "key": key, "saga_id": saga_id, "limit": limit}
        return [SagaRow(*row) for row in await self._query("saga_rows", arguments)]

    async def walk(self, which: Which, after: UUID | None, limit: int) -> Sequence[SagaRow]:
        """Those that have a history, in the order of their ids; `after` is the last of the page before."""
        arguments = {**asdict(which), "after": after, "limit": limit}
        return [SagaRow(*row) for row in await self._query("walk", arguments)]

    async def dead_reason(self, message_id: str) -> str | None:
        """Why this message became a dead letter; None: it did not."""
        rows = await self._query("dead_reason", {"id": message_id})
        return rows[0][0] if rows else None

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many sagas there are by type and status."""
        return {(saga, status): count for saga, status, count in await self._query("counts", {})}

    async def _query(self, name: str, arguments: Mapping[str, Any]) -> list[Any]:
        return await self._patience.run(self._execute, name, arguments)

    def _execute(self, name: str, arguments: Mapping[str, Any]) -> list[Any]:
        with self.application.datastore.get_connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(load(QUERIES, name, self._schema), arguments, prepare=True)
            return cursor.fetchall() if cursor.description else []

    def _load(self, saga_ids: list[UUID], in_quarantine: bool) -> Loaded:
        found = self.application.repository.get_many(saga_ids)
        # Asked after the histories, so that the time is not before that of any event in them.
        [(now, quarantined)] = self._execute("clock_and_quarantine", {"ids": saga_ids})
        apart = frozenset(quarantined)
        read = {id_: each for id_, each in found.items() if in_quarantine or id_ not in apart}
        return Loaded(
            now,
            {id_: each for id_, each in read.items() if not isinstance(each, Exception)},
            {id_: each for id_, each in read.items() if isinstance(each, Exception)},
            apart,
        )

    def _take_due(self, arguments: Mapping[str, Any]) -> Due:
        taken = self._execute("take_due", arguments)
        [(now, coming)] = self._execute("next_due", arguments)
        return Due(now, [saga_id for _, saga_id in sorted(taken)], coming)

    def _published(self, message_ids: Sequence[str]) -> None:
        statement = load(QUERIES, "published", self._schema)
        with self.application.datastore.get_connection() as connection, connection.transaction():
            connection.execute("SET LOCAL synchronous_commit TO off", prepare=True)
            connection.execute(statement, {"ids": message_ids}, prepare=True)

    def _register(self, shapes: Sequence[JsonObject]) -> None:
        arguments = {
            "sagas": [shape["saga"] for shape in shapes],
            "versions": [shape["version"] for shape in shapes],
            "shapes": [Jsonb(shape) for shape in shapes],
        }
        with self.application.datastore.get_connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            cursor.execute(load(QUERIES, "save_shapes", self._schema), arguments)
            cursor.execute(load(QUERIES, "shapes", self._schema))
            compare(shapes, [shape for (shape,) in cursor])


def _held(
    subject: str, headers: str, body: bytes, received: datetime, sequence: int, consumer: str, *rest: Any
) -> Held:
    message_id, saga_id, saga, definition, why, error, key_name, key_value, until = rest
    given = json.loads(headers)
    message = Incoming(
        subject, given, body, received, sequence, consumer=consumer, held=why, held_for=saga_id
    )
    sought = None if key_name is None else LearntKey(saga, key_name, key_value)
    return Held(message, message_id, saga_id, saga, definition, why, error, sought, until)


def _letter(row: Sequence[Any]) -> DeadLetter:
    message_id, subject, headers, body, received, sequence, consumer, where, reason = row
    message = Incoming(subject, json.loads(headers), body, received, sequence, consumer=consumer)
    return DeadLetter(message, message_id, where, reason)


def _is_refusal(error: BaseException | None) -> bool:
    """Whether it is for what should be stored: a value that cannot be, or is beyond a limit or a constraint."""
    if not isinstance(error, psycopg.Error) or isinstance(error, UniqueViolation):
        return False
    data = isinstance(error, psycopg.DataError | psycopg.IntegrityError)
    return data or (error.sqlstate or "").startswith("54")


def _versions(definitions: Iterable[tuple[str, int]]) -> dict[str, list[Any]]:
    """What is held here: these versions, and the events that this program can read."""
    pairs = list(definitions)
    return {
        "sagas": [saga for saga, _ in pairs],
        "definitions": [version for _, version in pairs],
        "topics": readable_topics(),
    }
