"""What is committed with the events of a batch: as few statements as for one saga, however large the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeAlias, cast
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row, scalar_row
from pydantic_core import to_json

from amends.domain.correlation import LearntKey
from amends.domain.history import Recorded
from amends.infrastructure.headers import stored
from amends.infrastructure.limits import LimitedSaga
from amends.infrastructure.ports import (
    Commit,
    DeadLetter,
    Handled,
    Held,
    Incoming,
    KeysTaken,
    Outgoing,
    SagaRow,
    Unclaimed,
)
from amends.infrastructure.postgres.arrays import (
    Bodies,
    Column,
    Encoded,
    Ids,
    Integers,
    Moments,
    Names,
    Numbers,
    Texts,
)
from amends.infrastructure.postgres.queries import load
from amends.infrastructure.storable import all_storable, storable

QUERIES: Final = "amends.infrastructure.postgres.store_sql"

Columns: TypeAlias = dict[str, list[Any]]
Arrays: TypeAlias = dict[str, Column]


class Batch:
    """A commit on its way, which may take several attempts; `conflicts` are the sagas that it left out.

    To the library it is one aggregate, whose events are those of all sagas: what the library asks of each
    object that it saves would cost more than all the rest.
    """

    def __init__(self, commit: Commit) -> None:
        self.id = UUID(int=0)
        self.version = 0
        self.commit = commit
        self.conflicts: frozenset[UUID] = frozenset()
        # Collected once: aggregates give their events away.
        self._events = [event for aggregate in commit.aggregates for event in aggregate.collect_events()]

    def collect_events(self) -> Sequence[Recorded]:
        return self._events

    def save(
        self, connection: Connection[Any], schema: str, channel: str, events: Sequence[StoredEvent]
    ) -> None:
        """All of it in one transaction, which is one statement where nothing out of the ordinary happened.

        Raises KeysTaken.
        """
        commit = self.commit
        if not self.is_unusual:
            self._save(connection, schema, channel, events)
            return
        # Not in a pipeline, in which psycopg waits for ever once more is sent than fits into the socket's buffer.
        with connection.transaction():
            if commit.released:
                saga_ids = {"saga_ids": list(commit.released)}
                connection.execute(load(QUERIES, "release", schema), saga_ids, prepare=True, binary=True)
            self._save(connection, schema, channel, events)
            self._learn(connection, schema)
            for query, columns in self._others():
                connection.execute(load(QUERIES, query, schema), columns, prepare=True, binary=True)

    async def save_alone(
        self, connection: AsyncConnection, schema: str, channel: str, events: Sequence[StoredEvent]
    ) -> None:
        """All of what is not unusual, on a connection that does not block."""
        cursor = connection.cursor(row_factory=scalar_row, binary=True)
        arguments = self._arguments(schema, channel, events)
        await cursor.execute(load(QUERIES, "save_batch", schema), arguments, prepare=True)
        self.conflicts = frozenset(await cursor.fetchall())

    @cached_property
    def is_unusual(self) -> bool:
        """Whether it takes more than one statement."""
        commit = self.commit
        seldom = (commit.keys, commit.dead, commit.handled, commit.held, commit.unclaimed)
        limits = (commit.limited, commit.slots)
        return any((*seldom, *limits, commit.quarantined, commit.ahead, commit.released))

    def _save(
        self, connection: Connection[Any], schema: str, channel: str, events: Sequence[StoredEvent]
    ) -> None:
        cursor = connection.cursor(row_factory=scalar_row, binary=True)
        arguments = self._arguments(schema, channel, events)
        cursor.execute(load(QUERIES, "save_batch", schema), arguments, prepare=True)
        # Rows show conflicts; what belongs to those sagas was left out.
        self.conflicts = frozenset(cursor.fetchall())

    def _arguments(self, schema: str, channel: str, events: Sequence[StoredEvent]) -> dict[str, object]:
        commit = self.commit
        return {
            **_rows(commit.rows),
            **_outbox(commit.outbox),
            **events_columns(events),
            "published": Texts(all_storable(list(commit.published))),
            "schema": schema,
            "channel": channel,
        }

    def _learn(self, connection: Connection[Any], schema: str) -> None:
        keys = [(saga, key) for saga, key in self.commit.keys if saga not in self.conflicts]
        if not keys:
            return
        cursor = connection.cursor(row_factory=dict_row, binary=True)
        cursor.execute(load(QUERIES, "save_keys", schema), _keys(keys), prepare=True)
        owners = {
            LearntKey(row["saga"], row["name"], row["value"]): row["saga_id"] for row in cursor.fetchall()
        }
        if refused := [claim for claim in keys if owners[as_stored(claim[1])] != claim[0]]:
            raise KeysTaken(refused)

    def _others(self) -> Iterator[tuple[str, Columns]]:
        """Statements with their columns, for what seldom is part of a batch."""
        commit = self.commit
        if commit.dead:
            yield "save_dead_letters", _dead_letters(commit.dead)
        if handled := [each for each in commit.handled if each.saga_id not in self.conflicts]:
            yield "handled", _handled(handled)
        if commit.held:
            yield "save_held", _held(commit.held)
        if commit.unclaimed:
            yield "save_unclaimed", _unclaimed(commit.unclaimed)
        if limited := [each for each in commit.limited if each.saga_id not in self.conflicts]:
            yield "end_limited", _ended(limited)
            yield "save_limited", _limited(limited)
        slots = [each for each in commit.slots if each.saga_id not in self.conflicts]
        if ended := [each.saga_id for each in slots if not each.busy]:
            yield "free_slots", {"saga_ids": ended}
        if busy := [each for each in slots if each.busy]:
            yield "take_slots", {"saga_ids": [s.saga_id for s in busy], "sagas": [s.saga for s in busy]}
        if commit.quarantined:
            yield "quarantine", _quarantined(commit)
        if commit.ahead:
            yield "mark_ahead", {"ids": list(commit.ahead), "topics": list(commit.ahead.values())}


def _rows(rows: Sequence[SagaRow]) -> Arrays:
    return {
        "ids": Ids([row.saga_id for row in rows]),
        "sagas": Names([row.saga for row in rows]),
        "definitions": Integers([row.definition for row in rows]),
        "keys": Texts(all_storable([row.key for row in rows])),
        "statuses": Names([str(row.status) for row in rows]),
        "versions": Numbers([row.version for row in rows]),
        "expected": Numbers([row.expected for row in rows]),
        "wake_ups": Moments([row.wake_up for row in rows]),
    }


def _outbox(messages: Sequence[tuple[UUID | None, Outgoing]]) -> Arrays:
    return {
        "message_ids": Texts(all_storable([each.message_id for _, each in messages])),
        "deduplication_ids": Texts(all_storable([each.deduplication_id for _, each in messages])),
        "message_sagas": Ids([saga for saga, _ in messages]),
        "subjects": Names(all_storable([each.subject for _, each in messages])),
        "headers": Encoded([stored(each.headers) for _, each in messages]),
        "bodies": Bodies([each.body for _, each in messages]),
    }


def events_columns(events: Sequence[StoredEvent]) -> Arrays:
    """The columns of these events, as the statements that append them name them."""
    return {
        "event_sagas": Ids([cast(UUID, event.originator_id) for event in events]),
        "event_versions": Numbers([event.originator_version for event in events]),
        "topics": Names([event.topic for event in events]),
        "states": Bodies([event.state for event in events]),
    }


def _messages(messages: Sequence[Incoming]) -> Columns:
    return {
        "subjects": [storable(each.subject) for each in messages],
        "headers": [to_json(each.headers).decode() for each in messages],
        "bodies": [each.body for each in messages],
        "received": [each.received for each in messages],
        "sequences": [each.sequence for each in messages],
        "consumers": [storable(each.consumer) for each in messages],
    }


def _dead_letters(letters: Sequence[DeadLetter]) -> Columns:
    return _messages([each.message for each in letters]) | {
        "ids": [storable(each.message_id) for each in letters],
        "stages": [each.where for each in letters],
        "reasons": [storable(each.reason) for each in letters],
    }


def _held(held: Sequence[Held]) -> Columns:
    return _messages([each.message for each in held]) | {
        "ids": [storable(each.message_id) for each in held],
        "saga_ids": [each.saga_id for each in held],
        "sagas": [storable(each.saga) for each in held],
        "definitions": [each.definition for each in held],
        "whys": [each.why for each in held],
        "errors": [storable(each.error) for each in held],
        "key_names": [each.sought and each.sought.name for each in held],
        "key_values": [each.sought and storable(each.sought.value) for each in held],
        "untils": [each.until for each in held],
    }


def as_stored(key: LearntKey) -> LearntKey:
    """The key as the database keeps it."""
    return replace(key, value=storable(key.value))


def columns_of(keys: Sequence[LearntKey]) -> Columns:
    return {
        "sagas": [each.saga for each in keys],
        "names": [each.name for each in keys],
        "values": [storable(each.value) for each in keys],
    }


def _keys(keys: Sequence[tuple[UUID, LearntKey]]) -> Columns:
    return columns_of([key for _, key in keys]) | {"ids": [saga for saga, _ in keys]}


def _handled(handled: Sequence[Handled]) -> Columns:
    return {
        "ids": [storable(each.message_id) for each in handled],
        "sagas": [storable(each.saga) for each in handled],
    }


def _unclaimed(unclaimed: Sequence[Unclaimed]) -> Columns:
    # One message may come twice in a batch, and a row can be replaced only once in a statement.
    latest = {(each.message_id, each.saga): each for each in unclaimed}.values()
    return {
        "ids": [storable(each.message_id) for each in latest],
        "sagas": [storable(each.saga) for each in latest],
        "subjects": [storable(each.subject) for each in latest],
        "keys": [storable(each.key) for each in latest],
        "became": [each.became for each in latest],
    }


def _ended(limited: Sequence[LimitedSaga]) -> Columns:
    return {
        "saga_ids": [each.saga_id for each in limited],
        "command_ids": [command.command_id for each in limited for command in each.commands],
        "ended": [command_id for each in limited for command_id in each.failed],
        "failed": [failed for each in limited for failed in each.failed.values()],
    }


def _limited(limited: Sequence[LimitedSaga]) -> Columns:
    pairs = [(saga, command) for saga in limited for command in saga.commands]
    return {
        "command_ids": [command.command_id for _, command in pairs],
        "participants": [command.participant for _, command in pairs],
        "command_sagas": [saga.saga_id for saga, _ in pairs],
        "backwards": [command.backwards for _, command in pairs],
        "suspended": [saga.suspended for saga, _ in pairs],
        "since": [command.since for _, command in pairs],
        "expires": [command.expires for _, command in pairs],
    }


def _quarantined(commit: Commit) -> Columns:
    # A saga that failed before its first event is known by the message that is held for it, nothing else.
    known = {each.saga_id: each for each in reversed(commit.held)}
    held = [known.get(saga_id) for saga_id in commit.quarantined]
    return {
        "ids": list(commit.quarantined),
        "sagas": [storable(each.saga) if each else "" for each in held],
        "definitions": [each.definition if each else 0 for each in held],
        "errors": [storable(error) for error in commit.quarantined.values()],
    }
