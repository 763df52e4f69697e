"""The store in memory: for unit tests and the simulator. It behaves as the one in PostgreSQL does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.errors import UnreadableEvent
from amends.domain.events import JsonObject
from amends.domain.history import Recorded, read, readable_topics
from amends.domain.state import Status
from amends.infrastructure.broker import Mark
from amends.infrastructure.limits import WAITS
from amends.infrastructure.memory.jobs import MemoryJobs
from amends.infrastructure.memory.limits import MemoryLimits
from amends.infrastructure.memory.workers import MemoryWorkers
from amends.infrastructure.ports import (
    Clock,
    Commit,
    DeadLetter,
    Due,
    Held,
    Incoming,
    KeysTaken,
    Loaded,
    Outgoing,
    Quarantined,
    SagaRow,
    Unclaimed,
    Which,
)
from amends.infrastructure.shapes import compare, plain
from amends.infrastructure.storable import storable
from amends.infrastructure.unread import Unread


@dataclass(slots=True)
class _Saga:
    row: SagaRow
    taken_until: datetime | None = None
    error: str | None = None  # in quarantine
    since: datetime | None = None
    unreadable: frozenset[str] = frozenset()  # topics of its events that some worker could not read

    @property
    def is_ahead(self) -> bool:
        """A newer program went on with it."""
        return bool(self.unreadable) and not self.unreadable.issubset(readable_topics())


class MemoryMarks:
    """What is remembered of the broker's streams."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}

    async def load(self) -> dict[str, Mark]:
        return dict(self._marks)

    async def store(self, marks: Mapping[str, Mark]) -> None:
        self._marks |= marks


class MemoryStore:
    """The `Store` port in memory, on the given clock. Histories are kept as bytes and read anew each time."""

    def __init__(self, clock: Clock) -> None:
        self.marks = MemoryMarks()
        self.dead: dict[str, DeadLetter] = {}
        self._clock = clock
        self._events: dict[UUID, list[Recorded]] = {}
        self._log: list[tuple[datetime, Recorded]] = []
        self._sagas: dict[UUID, _Saga] = {}
        self._timed: dict[UUID, _Saga] = {}  # those that have a wake-up
        self._outbox: dict[str, tuple[datetime, Outgoing]] = {}
        self._held: dict[tuple[str, str], Held] = {}
        self._keys: dict[LearntKey, UUID] = {}
        self._unclaimed: dict[tuple[str, str], Unclaimed] = {}
        self._releases: dict[tuple[UUID, str], tuple[str, str]] = {}
        self._shapes: dict[tuple[str, int], JsonObject] = {}
        self.workers = MemoryWorkers(clock, self._read_by, self._held.values)
        self.jobs = MemoryJobs(clock, self._rows)
        self.limits = MemoryLimits(clock, self._is_quarantined, self._row, self._held.values)

    async def load(self, saga_ids: Collection[UUID], *, in_quarantine: bool = False) -> Loaded:
        aggregates: dict[UUID, SagaAggregate] = {}
        unreadable: dict[UUID, Exception] = {}
        quarantined = frozenset(id_ for id_ in saga_ids if self._is_quarantined(id_))
        for saga_id in saga_ids:
            if saga_id in quarantined and not in_quarantine:
                continue
            aggregate = SagaAggregate(saga_id)
            try:
                aggregate.load(await self.history(saga_id))
            except Exception as error:  # noqa: BLE001 - whatever one history does when it is read, the others go on
                unreadable[saga_id] = error
            else:
                aggregates[saga_id] = aggregate
        return Loaded(self._clock.now(), aggregates, unreadable, quarantined)

    async def commit(self, commit: Commit) -> frozenset[UUID]:
        events = [event for aggregate in commit.aggregates for event in aggregate.collect_events()]
        lost = (row.saga_id for row in commit.rows if self._is_conflict(row, commit.released))
        conflicts = frozenset(lost)
        self._learn([claim for claim in commit.keys if claim[0] not in conflicts])
        await self.release(commit.released)
        for row in commit.rows:
            if row.saga_id not in conflicts:
                self._save(replace(row, key=storable(row.key)))
        for event in events:
            if event.originator_id not in conflicts:
                self._events.setdefault(event.originator_id, []).append(event)
                self._log.append((self._clock.now(), event))
        for saga_id, message in commit.outbox:
            if saga_id not in conflicts:
                self._outbox.setdefault(storable(message.message_id), (self._clock.now(), message))
        for letter in commit.dead:
            self.dead.setdefault(storable(letter.message_id), letter)
        self._hold(commit, conflicts)
        for saga_id, error in commit.quarantined.items():
            self._quarantine(saga_id, storable(error), commit.held)
        for saga_id, topic in commit.ahead.items():
            self._sagas[saga_id].unreadable |= {topic}
        self.limits.save(each for each in commit.limited if each.saga_id not in conflicts)
        self.limits.occupy(each for each in commit.slots if each.saga_id not in conflicts)
        await self.published(commit.published)
        return conflicts

    async def take_due(
        self, definitions: Collection[tuple[str, int]], until: datetime | None, limit: int, lease: timedelta
    ) -> Due:
        now = self._clock.now()
        waiting = [each for each in self._timed.values() if _waits(each, definitions)]
        behind = {held.saga_id for held in self._held.values()}  # held messages come before timers
        due = [each for each in waiting if _is_due(each, until, now) and each.row.saga_id not in behind]
        due = sorted(due, key=lambda each: (each.row.wake_up, each.row.saga_id))[:limit]
        for each in due:
            each.taken_until = now + lease
        coming = min((_comes(each, now) for each in waiting), default=None)
        return Due(now, [each.row.saga_id for each in due], coming)

    async def unpublished(self, limit: int, older_than: timedelta) -> Sequence[Outgoing]:
        latest = self._clock.now() - older_than
        return [message for at, message in self._outbox.values() if at <= latest][:limit]

    async def published(self, message_ids: Collection[str]) -> None:
        for message_id in message_ids:
            self._outbox.pop(storable(message_id), None)

    async def outstanding(
        self, saga_types: Collection[str], after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        found = sorted(
            saga_id
            for saga_id, each in self._sagas.items()
            if each.row.saga in saga_types and each.row.status and not Status(each.row.status).final
        )
        return [saga_id for saga_id in found if after is None or saga_id > after][:limit]

    async def register(self, shapes: Sequence[JsonObject]) -> None:
        known = {(shape["saga"], shape["version"]): plain(shape) for shape in shapes} | self._shapes
        compare(shapes, list(known.values()))
        self._shapes = known

    async def shapes(self) -> Sequence[JsonObject]:
        return [plain(shape) for _, shape in sorted(self._shapes.items(), key=lambda item: item[0])]

    async def take_held(self, definitions: Collection[tuple[str, int]], limit: int) -> Sequence[Held]:
        return [held for held in self._held.values() if self._waits_no_more(held, definitions)][:limit]

    async def find(self, keys: Collection[LearntKey]) -> Mapping[LearntKey, UUID]:
        return {key: self._keys[_key(key)] for key in keys if _key(key) in self._keys}

    async def dead_letters(self, after: str, limit: int) -> Sequence[DeadLetter]:
        return sorted(
            (letter for name, letter in self.dead.items() if name > after),
            key=lambda letter: letter.message_id,
        )[:limit]

    async def unclaimed(self, limit: int) -> Sequence[Unclaimed]:
        return list(reversed(self._unclaimed.values()))[:limit]

    async def release(self, saga_ids: Collection[UUID]) -> frozenset[UUID]:
        released = frozenset(saga_id for saga_id in saga_ids if self._is_quarantined(saga_id))
        for saga_id in released:
            self._sagas[saga_id].error = None
        return released

    async def release_unbegun(self, saga_id: UUID, request: str, by: str, reason: str) -> bool:
        if await self.release([saga_id]):
            self._releases[saga_id, request] = (by, reason)
        return (saga_id, request) in self._releases

    async def release_versions(self, definitions: Collection[tuple[str, int]]) -> frozenset[UUID]:
        types = {saga for saga, _ in definitions}
        rows = [each.row for each in self._sagas.values()]
        return await self.release(
            [
                row.saga_id
                for row in rows
                if (row.saga, row.definition) in definitions or (row.version == 0 and row.saga in types)
            ]
        )

    async def quarantined(self, *, saga_id: UUID | None = None, limit: int = 1000) -> Sequence[Quarantined]:
        found = [self._in_quarantine(each) for each in self._sagas.values() if each.error is not None]
        found.sort(key=lambda each: (each.since, each.saga_id))
        return [each for each in found if saga_id in (None, each.saga_id)][:limit]

    async def history(self, saga_id: UUID) -> list[Recorded]:
        """The events of one saga. Raises UnreadableEvent."""
        return [_read(each) for each in self._events.get(saga_id, [])]

    async def unread(self, saga_id: UUID) -> Sequence[Recorded]:
        """The events of one saga, each of which is read when it is looked at. Doing so raises UnreadableEvent."""
        return Unread(self._events.get(saga_id, []), _read)

    async def histories(self, saga_ids: Collection[UUID]) -> Mapping[UUID, list[Recorded] | Exception]:
        """The events of each of these sagas, or why they cannot be read."""
        found: dict[UUID, list[Recorded] | Exception] = {}
        for saga_id in saga_ids:
            try:
                found[saga_id] = await self.history(saga_id)
            except UnreadableEvent as error:
                found[saga_id] = error
        return found

    async def recorded_since(
        self, since: datetime, types: Collection[str], after: int, limit: int
    ) -> list[tuple[int, Recorded]]:
        """Events of these types, over all sagas, in the order of commits; see the store in PostgreSQL."""
        topics = readable_topics(types)
        found = [
            (place, event)
            for place, (at, event) in enumerate(self._log, start=1)
            if place > after and at >= since and event.topic in topics
        ]
        return [(place, _read(event)) for place, event in found[:limit]]

    async def saga_rows(
        self,
        *,
        saga: str | None = None,
        key: str | None = None,
        saga_id: UUID | None = None,
        limit: int = 1000,
    ) -> list[SagaRow]:
        """Sagas by any of type, key and id, in the order of type and key."""
        rows = [
            each.row
            for each in self._sagas.values()
            if saga in (None, each.row.saga)
            and key in (None, each.row.key)
            and saga_id in (None, each.row.saga_id)
        ]
        return sorted(rows, key=lambda row: (row.saga, row.key, row.saga_id))[:limit]

    async def walk(self, which: Which, after: UUID | None, limit: int) -> Sequence[SagaRow]:
        """Those that have a history, in the order of their ids; `after` is the last of the page before."""
        rows = [
            each.row
            for each in self._sagas.values()
            if which.holds(each.row) and each.row.version and (after is None or each.row.saga_id > after)
        ]
        return sorted(rows, key=lambda row: row.saga_id)[:limit]

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many sagas there are by type and status."""
        counts: dict[tuple[str, str], int] = {}
        for each in self._sagas.values():
            kind = (each.row.saga, str(each.row.status))
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def _learn(self, claims: Sequence[tuple[UUID, LearntKey]]) -> None:
        learnt: dict[LearntKey, UUID] = {}
        for saga_id, key in claims:
            learnt.setdefault(_key(key), self._keys.get(_key(key), saga_id))
        if refused := [(saga_id, key) for saga_id, key in claims if learnt[_key(key)] != saga_id]:
            raise KeysTaken(refused)
        self._keys |= learnt

    def _hold(self, commit: Commit, conflicts: Collection[UUID]) -> None:
        for done in commit.handled:
            if done.saga_id not in conflicts:
                self._held.pop((storable(done.message_id), done.saga), None)
        for held in commit.held:
            self._held.setdefault((storable(held.message_id), held.saga), _as_stored(held))
        for each in commit.unclaimed:
            kept = replace(
                each,
                message_id=storable(each.message_id),
                key=storable(each.key),
                at=self._clock.now(),
            )
            self._unclaimed.pop((kept.message_id, kept.saga), None)
            self._unclaimed[kept.message_id, kept.saga] = kept

    def _waits_no_more(self, held: Held, definitions: Collection[tuple[str, int]]) -> bool:
        if held.why == WAITS or self._is_quarantined(held.saga_id) or self._is_ahead(held.saga_id):
            return False
        types = {saga for saga, _ in definitions}
        if held.why != "early":
            known = self._sagas[held.saga_id].row if held.saga_id in self._sagas else None
            definition = known.definition if known else held.definition
            unborn = known is not None and known.version == 0
            return (held.saga, definition) in definitions or (unborn and held.saga in types)
        if held.saga not in types:
            return False
        over = held.until is not None and held.until <= self._clock.now()
        return over or held.saga_id in self._events or held.sought in self._keys

    def _row(self, saga_id: UUID) -> SagaRow | None:
        saga = self._sagas.get(saga_id)
        return saga.row if saga else None

    def _rows(self) -> list[SagaRow]:
        return [each.row for each in self._sagas.values()]

    def _read_by(self) -> list[tuple[SagaRow, frozenset[str]]]:
        return [(each.row, each.unreadable) for each in self._sagas.values()]

    def _is_quarantined(self, saga_id: UUID | None) -> bool:
        saga = self._sagas.get(saga_id) if saga_id else None
        return saga is not None and saga.error is not None

    def _is_ahead(self, saga_id: UUID | None) -> bool:
        saga = self._sagas.get(saga_id) if saga_id else None
        return saga is not None and saga.is_ahead

    def _save(self, row: SagaRow) -> None:
        saga_id = row.saga_id
        known = self._sagas.get(saga_id)
        saga = _Saga(row, unreadable=known.unreadable if known else frozenset())
        self._sagas[saga_id] = saga
        self._timed.pop(saga_id, None)
        if row.wake_up is not None:
            self._timed[saga_id] = saga

    def _is_conflict(self, row: SagaRow, released: Collection[UUID]) -> bool:
        saga = self._sagas.get(row.saga_id)
        if saga is None:
            return False
        return saga.row.version != row.expected or (saga.error is not None and row.saga_id not in released)

    def _quarantine(self, saga_id: UUID, error: str, held: Sequence[Held]) -> None:
        saga = self._sagas.get(saga_id)
        if saga is None:
            known = next(((each.saga, each.definition) for each in held if each.saga_id == saga_id), ("", 0))
            saga = self._sagas[saga_id] = _Saga(SagaRow(saga_id, *known, "", "", 0, 0, None))
        saga.taken_until, saga.error, saga.since = None, error, self._clock.now()

    def _in_quarantine(self, saga: _Saga) -> Quarantined:
        row, error, since = saga.row, saga.error, saga.since
        assert error is not None
        assert since is not None
        held = sum(each.saga_id == row.saga_id for each in self._held.values())
        return Quarantined(row.saga_id, row.saga, row.definition, row.key, row.version, since, error, held)


def _waits(saga: _Saga, definitions: Collection[tuple[str, int]]) -> bool:
    row, rests = saga.row, saga.error is not None or saga.is_ahead
    return row.wake_up is not None and not rests and (row.saga, row.definition) in definitions


def _is_due(saga: _Saga, until: datetime | None, now: datetime) -> bool:
    wake_up = saga.row.wake_up
    assert wake_up is not None
    return wake_up <= now and (until is None or wake_up < until) and not _is_taken(saga, now)


def _is_taken(saga: _Saga, now: datetime) -> bool:
    return saga.taken_until is not None and saga.taken_until > now


def _comes(saga: _Saga, now: datetime) -> datetime:
    moment = saga.taken_until if _is_taken(saga, now) else saga.row.wake_up
    assert moment is not None
    return moment


def _read(recorded: Recorded) -> Recorded:
    return read(recorded.originator_id, recorded.originator_version, recorded.topic, recorded.stored)


def _as_stored(held: Held) -> Held:
    """The message as a database gives it back: without the handle of the inbox it came from."""
    message = held.message
    kept = Incoming(
        message.subject,
        dict(message.headers),
        message.body,
        message.received,
        message.sequence,
        consumer=message.consumer,
        held=held.why,
        held_for=held.saga_id,
    )
    return replace(
        held,
        message=kept,
        message_id=storable(held.message_id),
        error=storable(held.error),
        sought=held.sought and _key(held.sought),
    )


def _key(key: LearntKey) -> LearntKey:
    """The key as a database keeps it."""
    return replace(key, value=storable(key.value))
