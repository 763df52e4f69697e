"""What is committed with the events of a batch: one statement for each table, however large the batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from psycopg import Cursor
from psycopg.rows import DictRow

from amends.domain.correlation import LearntKey
from amends.domain.history import Recorded
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
from amends.infrastructure.postgres.queries import load
from amends.infrastructure.storable import storable

QUERIES: Final = "amends.infrastructure.postgres.store_sql"

Columns: TypeAlias = dict[str, list[Any]]


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

    def save(self, cursor: Cursor[DictRow], schema: str) -> None:
        """Everything but the events, in the cursor's transaction. Sagas' rows first: they show conflicts.

        Raises KeysTaken.
        """
        commit = self.commit
        if commit.rows:
            self._run(cursor, schema, "save_rows", _rows(commit.rows))
            won = {row["saga_id"] for row in cursor.fetchall()}
            self.conflicts = frozenset(row.saga_id for row in commit.rows if row.saga_id not in won)
        keys = [(saga, key) for saga, key in commit.keys if saga not in self.conflicts]
        if keys:
            self._learn(cursor, schema, keys)
        self._save_messages(cursor, schema)

    def _learn(self, cursor: Cursor[DictRow], schema: str, keys: Sequence[tuple[UUID, LearntKey]]) -> None:
        self._run(cursor, schema, "save_keys", _keys(keys))
        owners = {
            LearntKey(row["saga"], row["name"], row["value"]): row["saga_id"] for row in cursor.fetchall()
        }
        if refused := [claim for claim in keys if owners[as_stored(claim[1])] != claim[0]]:
            raise KeysTaken(refused)

    def _save_messages(self, cursor: Cursor[DictRow], schema: str) -> None:
        commit = self.commit
        handled = [each for each in commit.handled if each.saga_id not in self.conflicts]
        outbox = [(saga, message) for saga, message in commit.outbox if saga not in self.conflicts]
        if outbox:
            self._run(cursor, schema, "save_outbox", _outbox(outbox))
        if commit.dead:
            self._run(cursor, schema, "save_dead_letters", _dead_letters(commit.dead))
        if handled:
            self._run(cursor, schema, "handled", _handled(handled))
        if commit.held:
            self._run(cursor, schema, "save_held", _held(commit.held))
        if commit.unclaimed:
            self._run(cursor, schema, "save_unclaimed", _unclaimed(commit.unclaimed))
        if commit.quarantined:
            self._run(cursor, schema, "quarantine", _quarantined(commit))
        if commit.published:
            self._run(cursor, schema, "published", {"ids": [storable(each) for each in commit.published]})

    def _run(self, cursor: Cursor[DictRow], schema: str, query: str, columns: Columns) -> None:
        cursor.execute(load(QUERIES, query, schema), columns, prepare=True, binary=True)


def _rows(rows: Sequence[SagaRow]) -> Columns:
    return {
        "ids": [row.saga_id for row in rows],
        "sagas": [row.saga for row in rows],
        "definitions": [row.definition for row in rows],
        "keys": [storable(row.key) for row in rows],
        "statuses": [str(row.status) for row in rows],
        "versions": [row.version for row in rows],
        "expected": [row.expected for row in rows],
        "wake_ups": [row.wake_up for row in rows],
    }


def _outbox(messages: Sequence[tuple[UUID | None, Outgoing]]) -> Columns:
    return {
        "ids": [storable(each.message_id) for _, each in messages],
        "deduplication_ids": [storable(each.deduplication_id) for _, each in messages],
        "sagas": [saga for saga, _ in messages],
        "subjects": [storable(each.subject) for _, each in messages],
        "headers": [json.dumps(dict(each.headers)) for _, each in messages],
        "bodies": [each.body for _, each in messages],
    }


def _messages(messages: Sequence[Incoming]) -> Columns:
    return {
        "subjects": [storable(each.subject) for each in messages],
        "headers": [json.dumps(dict(each.headers)) for each in messages],
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
