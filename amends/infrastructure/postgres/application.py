"""The event-sourcing library's application, for sagas."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, Never
from uuid import UUID

from eventsourcing.application import Application, Repository
from eventsourcing.persistence import EventStore, InfrastructureFactory, Mapper
from eventsourcing.utils import Environment, EnvType
from psycopg import AsyncConnection

from amends.domain.aggregate import SagaAggregate
from amends.domain.errors import UnreadableEvent
from amends.domain.history import Recorded
from amends.infrastructure.postgres.batch import Batch
from amends.infrastructure.postgres.datastore import SagaDatastore
from amends.infrastructure.postgres.mapper import SagaMapper
from amends.infrastructure.postgres.recorder import SagaRecorder
from amends.infrastructure.unread import Unread


class SagaFactory(InfrastructureFactory):
    """Hands out what is made here; the library's own would make it from environment variables."""

    def __init__(self, env: Environment, datastore: SagaDatastore) -> None:
        super().__init__(env)
        self.datastore = datastore

    def application_recorder(self) -> SagaRecorder:
        return SagaRecorder(self.datastore)

    def aggregate_recorder(self, purpose: str = "events") -> Never:
        raise NotImplementedError(
            f"sagas are kept in one recorder, with events and nothing else; not {purpose}"
        )

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Never:
        raise NotImplementedError("sagas are not fed from another application's events")

    process_recorder = tracking_recorder

    def close(self) -> None:
        self.datastore.close()


class SagaRepository(Repository[UUID]):
    """Rebuilds sagas from their histories, a batch at a time."""

    def __init__(self, event_store: EventStore[UUID], recorder: SagaRecorder) -> None:
        super().__init__(event_store)
        self._recorder = recorder

    def get_many(self, saga_ids: Collection[UUID]) -> Mapping[UUID, SagaAggregate | Exception]:
        """Each of these sagas, without events where it has none, or why its history cannot be read."""
        found: dict[UUID, SagaAggregate | Exception] = {id_: SagaAggregate(id_) for id_ in saga_ids}
        for saga_id, stored in groupby(
            self._recorder.select_many(saga_ids), lambda event: event.originator_id
        ):
            assert isinstance(saga_id, UUID)
            aggregate = SagaAggregate(saga_id)
            try:
                aggregate.load(map(self._read, stored))
            except Exception as error:  # noqa: BLE001 - whatever one history does when it is read, the others go on
                found[saga_id] = error
            else:
                found[saga_id] = aggregate
        return found

    def history(self, saga_id: UUID) -> list[Recorded]:
        """The events of one saga. Raises UnreadableEvent."""
        return [self._read(event) for event in self._recorder.select_many([saga_id])]

    def unread(self, saga_id: UUID) -> Sequence[Recorded]:
        """The events of one saga, each of which is read when it is looked at. Doing so raises UnreadableEvent."""
        return Unread(self._recorder.select_many([saga_id]), self._read)

    def histories(self, saga_ids: Collection[UUID]) -> Mapping[UUID, list[Recorded] | Exception]:
        """The events of each of these sagas, or why they cannot be read."""
        found: dict[UUID, list[Recorded] | Exception] = {id_: [] for id_ in saga_ids}
        stored = self._recorder.select_many(saga_ids)
        for saga_id, events in groupby(stored, lambda event: event.originator_id):
            assert isinstance(saga_id, UUID)
            try:
                found[saga_id] = [self._read(event) for event in events]
            except UnreadableEvent as error:
                found[saga_id] = error
        return found

    def _read(self, stored: Any) -> Recorded:
        recorded = self.event_store.mapper.to_domain_event(stored)
        assert isinstance(recorded, Recorded)
        return recorded


class SagaApplication(Application[UUID]):
    """Saves a batch of sagas at once, and loads one at once. Everything here blocks its thread."""

    name = "sagas"

    def __init__(self, datastore: SagaDatastore) -> None:
        self.datastore = datastore
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Nothing: the library would merge in the whole environment of the process."""
        return Environment(name, env)

    def construct_factory(self, env: Environment) -> SagaFactory:
        return SagaFactory(env, self.datastore)

    def construct_mapper(self) -> Mapper[UUID]:
        return SagaMapper()

    def construct_repository(self) -> SagaRepository:
        assert isinstance(self.recorder, SagaRecorder)
        return SagaRepository(self.events, self.recorder)

    @property
    def repository(self) -> SagaRepository:
        assert isinstance(self._repository, SagaRepository)
        return self._repository

    def commit(self, batch: Batch) -> frozenset[UUID]:
        """One save for the whole batch; returns the sagas that were left out."""
        self.save(batch, batch=batch)
        return batch.conflicts

    async def commit_alone(self, batch: Batch, connection: AsyncConnection) -> frozenset[UUID]:
        """The same of a batch that is not unusual, on this connection; it alone does not block."""
        assert isinstance(self.recorder, SagaRecorder)
        events = [self.mapper.to_stored_event(event) for event in batch.collect_events()]
        await batch.save_alone(connection, self.datastore.schema, self.recorder.channel_name, events)
        return batch.conflicts
