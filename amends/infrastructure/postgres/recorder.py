"""The event-sourcing library's recorder, with the whole commit of a batch in the events' transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg import Cursor
from psycopg.rows import DictRow, tuple_row

from amends.infrastructure.postgres.batch import QUERIES, Batch, events_columns
from amends.infrastructure.postgres.datastore import SagaDatastore
from amends.infrastructure.postgres.queries import load

_M = TypeVar("_M", bound=Callable[..., Any])


def _once(method: _M) -> _M:
    """The library's method without its decorator, which sleeps and tries again in the thread."""
    return cast(_M, method.__wrapped__)  # type: ignore[attr-defined]


class SagaRecorder(PostgresApplicationRecorder):
    """Appends events in the order of commits, and reads them. The tables are made by the migrations.

    `insert_events(…, batch=…)` saves the events with all else of the batch, and leaves out those of its conflicts.
    An operation is tried once: whoever calls it can wait without keeping a thread.
    """

    def __init__(self, datastore: SagaDatastore) -> None:
        super().__init__(datastore, events_table_name="events")
        assert not datastore.enable_db_functions  # they would insert the events without the batch
        self.channel_name = f"{datastore.schema}.events"
        self._insert = load(QUERIES, "insert_events", datastore.schema)
        self._lock = load(QUERIES, "lock_events", datastore.schema)
        self._load = load(QUERIES, "load_events", datastore.schema)

    select_events = _once(PostgresApplicationRecorder.select_events)
    select_notifications = _once(PostgresApplicationRecorder.select_notifications)
    max_notification_id = _once(PostgresApplicationRecorder.max_notification_id)

    def create_table(self) -> None:
        """Nothing: the migrations do."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """One transaction; returns the notification ids, None with a batch. Raises the library's errors.

        IntegrityError means that an event of this version exists; with a batch, whose rows showed no
        conflict, it means that a saga's row and its history are out of step.
        """
        batch: Batch | None = kwargs.get("batch")
        with self.datastore.get_connection() as connection:
            if batch is not None:
                batch.save(connection, self.datastore.schema, self.channel_name, stored_events)
                return None
            if not stored_events:
                return []
            with connection.transaction():
                cursor = connection.cursor()
                self._append(cursor, stored_events)
                return [row["notification_id"] for row in cursor.fetchall()]

    def _append(self, cursor: Cursor[DictRow], events: Sequence[StoredEvent]) -> None:
        self._notify_channel(cursor)
        # As late as can be: from here to the commit this is the only transaction that appends.
        cursor.execute(self._lock, {"schema": self.datastore.schema}, prepare=True)
        cursor.execute(self._insert, events_columns(events), prepare=True, binary=True)

    def select_many(self, saga_ids: Iterable[UUID]) -> Sequence[StoredEvent]:
        """The events of all these sagas in one query, by saga and version."""
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(self._load, {"ids": list(saga_ids)}, prepare=True, binary=True)
            return [StoredEvent(*row) for row in cursor.fetchall()]
