"""The batch engine: receive, load, decide, commit once, publish, acknowledge. Over ports, so it runs anywhere.

What a crash at each point repeats is told in docs/architecture.md; `probe` is called at these points.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from amends.domain.definition import InvalidMessage
from amends.domain.inputs import Tick
from amends.infrastructure.broker import PublishFailed
from amends.infrastructure.ports import (
    Clock,
    Commit,
    Due,
    Inbox,
    Incoming,
    Loaded,
    Outgoing,
    Publisher,
    Store,
)
from amends.process_managers.batch import Batch, Told
from amends.process_managers.errors import Unroutable
from amends.process_managers.registry import Registry
from amends.process_managers.routing import Routed, message_id, route

_LOG: Final = logging.getLogger("amends.worker")

HOUSEKEEPING: Final = timedelta(seconds=5)
"""How often a worker looks for what another one left behind: unpublished messages, timers, held messages."""

_BLOCKED: Final = timedelta(milliseconds=100)
"""How soon to look again at a timer that waits for messages which the broker received before it fell due."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_NOTHING: Final = Loaded(now=_NEVER, aggregates={}, unreadable={}, quarantined=frozenset())


class Engine:
    """Runs the sagas of a registry. `step` is one batch; `run` is batches until it is told to stop."""

    def __init__(  # noqa: PLR0913 - the four ports, and settings by name
        self,
        registry: Registry,
        store: Store,
        inbox: Inbox,
        publisher: Publisher,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        batch_size: int = 200,
        lease: timedelta = timedelta(seconds=10),
        known_types: Collection[str] = (),
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._inbox = inbox
        self._publisher = publisher
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._batch_size = batch_size
        self._lease = lease
        self._known_types = frozenset(known_types) | frozenset(registry.types)
        self._probe = probe
        self._stop = asyncio.Event()
        self._offset = timedelta(0)  # how far the database's clock is ahead of ours
        self._next_due: datetime | None = None
        self._until = _NEVER  # timers up to here may fire
        self._next_housekeeping: datetime | None = None

    async def run(self) -> None:
        """Batch after batch. Returns after `stop`, when the batch in hand is finished."""
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while not self._stop.is_set():
                messages = await self._receive(stopping)
                await self.step(messages)
        finally:
            stopping.cancel()

    def stop(self) -> None:
        """Finish the batch in hand, and no more."""
        self._stop.set()

    async def step(self, messages: Sequence[Incoming] = ()) -> None:
        """Handle these messages and what is due, as one batch."""
        if messages:
            self._probe("received")
        if self._housekeeping_due():
            await self._housekeeping()
        due = await self._take_due()
        if messages or due:
            await self._handle(messages, due)
        if messages:
            await self._inbox.acknowledge(messages)
            self._probe("acknowledged")

    async def _receive(self, stopping: asyncio.Future[Any]) -> Sequence[Incoming]:
        receiving = asyncio.ensure_future(self._inbox.receive(self._batch_size, self._patience()))
        await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            await asyncio.wait((receiving,))
        return () if receiving.cancelled() else receiving.result()

    def _patience(self) -> float:
        """Seconds until something must be done even where no message comes."""
        times = [time for time in (self._next_due, self._next_housekeeping) if time is not None]
        now = self._now()
        return max(0.0, (min(times, default=now) - now).total_seconds())

    def _now(self) -> datetime:
        """The database's time, as far as this worker can tell without asking."""
        return self._clock.now() + self._offset

    def _housekeeping_due(self) -> bool:
        return self._next_housekeeping is None or self._now() >= self._next_housekeeping

    async def _housekeeping(self) -> None:
        """Take over what a worker that died left behind. At the start it is anything, later what is overdue."""
        grace = timedelta(0) if self._next_housekeeping is None else HOUSEKEEPING
        while left := await self._store.unpublished(self._batch_size, grace):
            _LOG.info("publishing %d messages that were left behind", len(left))
            if not await self._publish(left):
                break
        while held := await self._store.take_held(self._registry.held, self._batch_size):
            await self._handle([item.message for item in held], ())
            await self._store.unhold([item.message_id for item in held])
        self._next_housekeeping = self._now() + HOUSEKEEPING
        self._next_due = self._now()

    async def _take_due(self) -> Sequence[UUID]:
        if self._next_due is None or self._now() < self._next_due:
            return ()
        asked = self._now()
        handled = await self._inbox.handled_until()
        until = asked if handled is None else min(handled, asked)
        due = await self._store.take_due(self._registry.held, until, self._batch_size, self._lease)
        self._offset = due.now - self._clock.now()
        self._next_due = self._after(due, until)
        self._until = until
        return due.saga_ids

    def _after(self, due: Due, until: datetime) -> datetime | None:
        """When to take timers again: at once if there are more, soon if messages hold one up, else when due."""
        if len(due.saga_ids) >= self._batch_size:
            return due.now
        if due.next is None or due.next > due.now:
            return due.next
        return due.now + _BLOCKED

    async def _handle(self, messages: Sequence[Incoming], due: Sequence[UUID]) -> None:
        """Decide and commit until every saga is through; one that another worker changed is decided again."""
        told, strays = self._route(messages)
        for saga_id in due:
            told.setdefault(saga_id, []).append(Tick(until=self._until))
        while told or strays:
            loaded = await self._store.load(told) if told else _NOTHING
            self._probe("loaded")
            batch = Batch(self._registry, self._namespace, self._name, told, loaded)
            for message, reason in strays:
                batch.bury(message, message_id(message), reason)
            commit = batch.decide()
            lost = await self._store.commit(commit)
            self._probe("committed")
            self._report(commit, lost)
            await self._publish([message for saga_id, message in commit.outbox if saga_id not in lost])
            told, strays = {saga_id: told[saga_id] for saga_id in lost}, []

    def _route(
        self, messages: Sequence[Incoming]
    ) -> tuple[dict[UUID, list[Told]], list[tuple[Incoming, str]]]:
        told: dict[UUID, list[Told]] = {}
        strays: list[tuple[Incoming, str]] = []
        for message in messages:
            try:
                routed = route(message, self._registry, self._namespace, self._known_types)
            except (Unroutable, InvalidMessage) as error:
                strays.append((message, str(error)))
                continue
            if isinstance(routed, Routed):
                told.setdefault(routed.saga_id, []).append(routed)
        return told, strays

    async def _publish(self, messages: Sequence[Outgoing]) -> bool:
        """Publish, and note it in the store. What the broker refuses stays in the outbox and is tried again."""
        refused: frozenset[str] = frozenset()
        if messages:
            try:
                await self._publisher.publish(messages)
            except PublishFailed as error:
                refused = frozenset(message.message_id for message in error.messages)
                _LOG.error("the broker refused %d messages; they stay in the outbox: %s", len(refused), error)
        self._probe("published")
        await self._store.published([m.message_id for m in messages if m.message_id not in refused])
        return not refused

    def _report(self, commit: Commit, lost: Iterable[UUID]) -> None:
        wake_ups = [row.wake_up for row in commit.rows if row.wake_up is not None]
        if wake_ups:
            earliest = min(wake_ups)
            self._next_due = min(self._next_due, earliest) if self._next_due else earliest
        for saga_id in lost:
            _LOG.debug("another worker was quicker with saga %s", saga_id, extra={"saga_id": str(saga_id)})
        for letter in commit.dead:
            _LOG.warning("dead letter %s on %s: %s", letter.message_id, letter.message.subject, letter.reason)
        for saga_id, error in commit.quarantined.items():
            _LOG.error("saga %s is in quarantine: %s", saga_id, error, extra={"saga_id": str(saga_id)})
        for item in commit.held:
            _LOG.warning(
                "message %s is held: %s", item.message_id, item.error, extra={"saga_id": str(item.saga_id)}
            )
