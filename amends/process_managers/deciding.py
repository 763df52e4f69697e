"""What happens to a batch: route, load, decide, commit once, publish. Several batches may be under way at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.history import Recorded
from amends.domain.told import Admit, Tick
from amends.infrastructure import metrics
from amends.infrastructure.broker import PublishFailed
from amends.infrastructure.limits import WAITS, InForce
from amends.infrastructure.ports import (
    Commit,
    CommitRefused,
    Incoming,
    KeysTaken,
    Loaded,
    Outgoing,
    Publisher,
    Store,
)
from amends.infrastructure.publishing import publish_all_that_can_be
from amends.process_managers.batch import Batch, Told
from amends.process_managers.registry import Registry
from amends.process_managers.remembered import Remembered
from amends.process_managers.routing import NOBODY, Routed
from amends.process_managers.sorting import Sorted, Sorting, is_start

_LOG: Final = logging.getLogger("amends.worker")

_REMEMBERED: Final = 10_000
"""Sagas kept in memory; one takes some ten kilobytes."""


class Deciding:
    """Takes batches to their commit and their publication. A saga is in the hands of one batch at a time.

    `now` tells the database's time, as far as it is known without asking; `woken` is told of every wake-up that
    was committed, and (None) when something should be looked at soon: `expected` became true (held messages), or
    something came to `touched` (participants of which more held commands may leave), `full` or `freed` (saga types of
    which no more, or more, may start). Who does so makes it false, or takes it away. `limits` are those in force.
    What was published is noted in the store with the next commit, or by `flush`.
    """

    def __init__(  # noqa: PLR0913 - the ports, and what the engine knows
        self,
        registry: Registry,
        store: Store,
        publisher: Publisher,
        *,
        namespace: str,
        name: str,
        known_types: Collection[str],
        now: Callable[[], datetime],
        woken: Callable[[datetime | None], None],
        probe: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._store = store
        self._publisher = publisher
        self._namespace = namespace
        self._name = name
        self._sorting = Sorting(registry, store, namespace, known_types)
        self._now = now
        self._woken = woken
        self._probe = probe
        self._remembered = Remembered(_REMEMBERED)
        self._turn = asyncio.Lock()  # batches take sagas in hand in the order in which they came
        self._in_hand: set[UUID] = set()
        self._freed = asyncio.Event()
        self._published: list[str] = []
        self.expected = False
        self.limits = InForce()
        self.touched: set[str] = set()
        self.full: set[str] = set()
        self.freed: set[str] = set()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody should look at what committing led to."""
        return self.expected or bool(self.touched or self.full or self.freed)

    @property
    def has_published(self) -> bool:
        """Whether the store has not been told yet of something that was published."""
        return bool(self._published)

    async def handle(self, messages: Sequence[Incoming], due: Sequence[UUID], until: datetime) -> None:
        """Decide and commit until every saga is through; one that another worker changed is decided again."""
        async with self._turn:
            taken = await self._sorting.sort(messages)
            unfound = taken.told.pop(NOBODY, [])
            for saga_id in due:
                taken.told.setdefault(saga_id, []).append(Tick(until=until))
            if self.limits.types:
                await self._reserve(taken)
            await self._take_in_hand(taken.told.keys())
        await self._handle(taken)
        if unfound:
            await self._handle_unfound(unfound)

    async def _handle_unfound(self, events: Sequence[Told]) -> None:
        """Look again for whom they are when all that came before them is saved: it may have taught a saga their key."""
        async with self._turn:
            while self._in_hand:
                await self._wait_for_others()
            taken = await self._sorting.sort([each.message for each in events if isinstance(each, Routed)])
            await self._take_in_hand(taken.told.keys())
        await self._handle(taken)

    async def admit(self, commands: Iterable[tuple[UUID, UUID]]) -> None:
        """Send these held commands, each given with its saga."""
        taken = Sorted()
        for saga_id, command_id in commands:
            taken.told.setdefault(saga_id, []).append(Admit(command_id))
        async with self._turn:
            await self._take_in_hand(taken.told.keys())
        await self._handle(taken)

    async def _reserve(self, taken: Sorted) -> None:
        """Reserve slots for what starts sagas of limited types; where there is none, it waits."""
        first = {saga_id: next(filter(is_start, items), None) for saga_id, items in taken.told.items()}
        starts = {saga_id: each.saga for saga_id, each in first.items() if each}
        limited = {saga_id: saga for saga_id, saga in starts.items() if saga in self.limits.types}
        if not limited:
            return
        reserved = await self._store.limits.reserve(limited)
        self.full |= reserved.full
        for saga_id in limited:
            if saga_id not in reserved.sagas:
                taken.postpone(saga_id)

    async def _take_in_hand(self, saga_ids: Collection[UUID]) -> None:
        while not self._in_hand.isdisjoint(saga_ids):
            await self._wait_for_others()
        self._in_hand.update(saga_ids)

    async def _wait_for_others(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    async def _handle(self, taken: Sorted) -> None:
        told = taken.told
        try:
            sent = await self._commit(taken)
        finally:
            self._in_hand -= told.keys()
            self._freed.set()
        await self.publish(sent)

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[str]:
        """Publish. What the broker refuses stays in the outbox, to be tried again; returns the ids of that."""
        refused = await publish_all_that_can_be(self._publisher, messages)
        if refused:
            error = PublishFailed(list(refused.values()))
            _LOG.error("the broker refused %d messages; they stay in the outbox: %s", len(refused), error)
        self._probe("published")
        self._published += [m.message_id for m in messages if m.message_id not in refused]
        return refused.keys()

    async def flush(self) -> None:
        """Tell the store what was published since the last commit."""
        published, self._published = self._published, []
        await self._store.published(published)

    async def _commit(self, taken: Sorted) -> list[Outgoing]:
        """Returns what must be published now."""
        sent: list[Outgoing] = []
        remembered = self._remembered.take(taken.told)
        refused: frozenset[tuple[UUID, LearntKey]] = frozenset()
        while taken.left:
            batch = await self._batch(taken, remembered, refused)
            published, self._published = self._published, []
            commit = batch.decide(published)
            events = {saga.id: saga.pending for saga in commit.aggregates}
            try:
                with metrics.COMMITS.time():
                    lost = await self._store.commit(commit)
            except KeysTaken as clash:
                _LOG.warning("%s", clash)
                refused |= clash.claims
                self._published += published
                remembered = {}
                continue
            except CommitRefused as error:
                self._published += published
                return sent + await self._isolate(taken, error)
            self._probe("committed")
            self._report(commit, events, lost)
            self._note(batch, commit)
            sent += [message for saga_id, message in commit.outbox if saga_id not in lost]
            self._remembered.check(remembered, len(lost & remembered.keys()))
            self._remembered.keep(saga for saga in commit.aggregates if saga.id not in lost)
            taken = Sorted({saga_id: taken.told[saga_id] for saga_id in (*lost, *batch.doubtful)})
            remembered = {}
        return sent

    async def _isolate(self, taken: Sorted, error: CommitRefused) -> list[Outgoing]:
        """Commit everything by itself, so that only what the database refuses is put into quarantine.

        Raises the error again where it is for no saga.
        """
        parts = taken.apart()
        if len(parts) > 1:
            return [message for part in parts for message in await self._commit(part)]
        if NOBODY in taken.told or not taken.told:
            raise error
        commit = (await self._batch(taken, {}, ())).quarantine(error)
        self._report(commit, {}, await self._store.commit(commit))
        return []

    async def _batch(
        self,
        taken: Sorted,
        remembered: Mapping[UUID, SagaAggregate],
        refused: Collection[tuple[UUID, LearntKey]],
    ) -> Batch:
        loaded = await self._loaded(taken.told, remembered)
        batch = Batch(
            self._registry, self._namespace, self._name, taken.told, loaded, remembered, refused, self.limits
        )
        self._probe("loaded")
        for message, reason in taken.strays:
            batch.stray(message, reason)
        for event, version in taken.ahead:
            batch.unheard(event, version)
        for start in taken.waiting:
            batch.postpone(start)
        return batch

    async def _loaded(self, told: Iterable[UUID], remembered: Mapping[UUID, SagaAggregate]) -> Loaded:
        missing = [saga_id for saga_id in told if saga_id not in remembered]
        if not missing:
            return Loaded(self._now(), remembered, {}, frozenset())
        loaded = await self._store.load(missing)
        return replace(loaded, aggregates={**loaded.aggregates, **remembered})

    def _note(self, batch: Batch, commit: Commit) -> None:
        """What should be looked at because of this commit."""
        self.expected |= batch.expected
        self.touched |= batch.touched
        self.freed |= {slot.saga for slot in commit.slots if not slot.busy}
        if self.is_awaited:
            self._woken(None)

    def _report(
        self, commit: Commit, events: Mapping[UUID, Sequence[Recorded]], lost: Collection[UUID]
    ) -> None:
        """Count and log what a commit brought: these events of its sagas, but for those that were lost."""
        metrics.count(
            (
                (row.saga, recorded.event.type)
                for row in commit.rows
                if row.saga_id not in lost
                for recorded in events[row.saga_id]
            ),
            quarantined=len(commit.quarantined.keys() - lost),
            dead_letters=len(commit.dead),
            conflicts=len(lost),
        )
        wake_ups = [row.wake_up for row in commit.rows if row.wake_up is not None]
        if wake_ups:
            self._woken(min(wake_ups))
        for saga_id in lost:
            _LOG.debug("another worker was quicker with saga %s", saga_id, extra={"saga_id": str(saga_id)})
        for letter in commit.dead:
            _LOG.warning("dead letter %s on %s: %s", letter.message_id, letter.message.subject, letter.reason)
        for saga_id, error in commit.quarantined.items():
            _LOG.error("saga %s is in quarantine: %s", saga_id, error, extra={"saga_id": str(saga_id)})
        for item in commit.held:
            _LOG.log(
                logging.DEBUG if item.why == WAITS else logging.WARNING,
                "message %s is held: %s",
                item.message_id,
                item.error,
                extra={"saga_id": str(item.saga_id)},
            )
