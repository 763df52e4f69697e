"""The batch engine: receive, load, decide, commit once, publish, acknowledge. Over ports, so it runs anywhere.

What a crash at each point repeats is told in docs/crashes.md; `probe` is called at these points.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from amends.domain.limits import Limit
from amends.infrastructure.broker import NO_MOMENT
from amends.infrastructure.groups import only
from amends.infrastructure.ports import Clock, Due, Inbox, Incoming, Publisher, Store
from amends.infrastructure.waiting import Waiting
from amends.process_managers.deciding import Deciding
from amends.process_managers.registry import Registry
from amends.process_managers.releasing import Releasing
from amends.process_managers.starting import Starting

_LOG: Final = logging.getLogger("amends.worker")

HOUSEKEEPING: Final = timedelta(seconds=5)
"""How often a worker looks for what another one left behind: unpublished messages, timers, held messages."""

_BLOCKED: Final = timedelta(milliseconds=100)
"""How soon to look again at a timer that waits for messages which the broker received before it fell due."""

_FLUSH: Final = 0.2
"""Seconds without a message after which the store is told by itself what was published."""

_UNDER_WAY: Final = 2
"""Batches at once: one is decided while the other is saved and sent."""


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
        limits: Collection[Limit] = (),
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._batch_size = batch_size
        self._lease = lease
        self._probe = probe
        self._deciding = Deciding(
            registry,
            store,
            publisher,
            namespace=namespace,
            name=name,
            known_types=frozenset(known_types) | frozenset(registry.types),
            now=self._now,
            woken=self._wake_up_at,
            probe=probe,
        )
        self._releasing = Releasing(store.limits, self._deciding, limits, registry.limits, batch_size, probe)
        self._starting = Starting(store, inbox, self._deciding, registry, batch_size)
        self._is_stopping = False
        self._receiving = Waiting()  # for messages
        self._waiting = Waiting()  # for a time
        self._room = asyncio.Semaphore(_UNDER_WAY)
        self._taking_held = asyncio.Lock()
        self._offset: timedelta | None = None  # how far the database's clock is ahead of ours
        self._next_due: datetime | None = None
        self._until = NO_MOMENT  # timers up to here may fire
        self._next_housekeeping: datetime | None = None  # on our clock: the database's may be set

    async def run(self) -> None:
        """Batch after batch, the next one decided while the one before is saved and sent.

        Returns after `stop`, when the batches in hand are finished.
        """
        try:
            await self._look_after()
            async with asyncio.TaskGroup() as under_way:
                under_way.create_task(self._keep_looking())
                while await self._has_room():
                    patience = _FLUSH if self._deciding.has_published else None
                    receiving = self._inbox.receive(self._batch_size, patience)
                    messages = await self._receiving.until(receiving, ())
                    if not messages:
                        self._room.release()
                        await self._deciding.flush()
                        continue
                    if self._deciding.expected or self._taking_held.locked():
                        await self._take_held()  # it came before these
                    batch = under_way.create_task(self._finish(messages, (), NO_MOMENT))
                    batch.add_done_callback(lambda _: self._room.release())
            await self._deciding.flush()
        except BaseExceptionGroup as error:
            raise only(error) from error

    async def _has_room(self) -> bool:
        """Returns when a batch may begin; False: no more are to. What comes meanwhile makes the next one larger."""
        if not self._is_stopping:
            await self._room.acquire()
        return not self._is_stopping

    def stop(self) -> None:
        """Finish the batches in hand, and take no more."""
        self._is_stopping = True
        self._receiving.end()
        self._waiting.end()

    async def step(self, messages: Sequence[Incoming] = ()) -> None:
        """Handle these messages and what is due, as one batch, to its end."""
        due = await self._attend()
        await self._finish(messages, due, self._until)
        await self._deciding.flush()

    async def _keep_looking(self) -> None:
        """Do what no message asks for, when it is time, beside the batches: none waits for it."""
        while not self._is_stopping:
            await self._waiting.until(self._clock.sleep(self._patience()), None)
            if not self._is_stopping:
                await self._look_after()

    async def _look_after(self) -> None:
        due = await self._attend()
        await self._finish((), due, self._until)

    async def _finish(self, messages: Sequence[Incoming], due: Sequence[UUID], until: datetime) -> None:
        if messages:
            self._probe("received")
        if messages or due:
            await self._deciding.handle(messages, due, until)
        if messages:
            await self._inbox.acknowledge(messages)
            self._probe("acknowledged")

    async def _attend(self) -> Sequence[UUID]:
        """What is done beside messages, when it is time; returns the sagas whose timers are due."""
        if self._offset is None:
            self._offset = (await self._store.load(())).now - self._clock.now()
        if self._next_housekeeping is None or self._clock.now() >= self._next_housekeeping:
            await self._housekeeping()
        elif self._deciding.expected:
            await self._take_held()
        await self._starting.attend()
        await self._releasing.attend(self._now())
        return await self._take_due()

    def _patience(self) -> float:
        """Seconds until something must be done that no message asks for."""
        if self._deciding.is_awaited:
            return 0.0
        now = self._now()
        waits = [moment - now for moment in (self._next_due, self._releasing.again) if moment is not None]
        if self._next_housekeeping is not None:
            waits.append(self._next_housekeeping - self._clock.now())
        return max(0.0, min(waits, default=timedelta(0)).total_seconds())

    def _now(self) -> datetime:
        """The database's time, as far as this worker can tell without asking."""
        return self._clock.now() + (self._offset or timedelta(0))

    def _wake_up_at(self, wake_up: datetime | None) -> None:
        """A batch has something to be done at this time; None: at once."""
        if wake_up is not None:
            if self._next_due is not None and self._next_due <= wake_up:
                return
            self._next_due = wake_up
        self._waiting.end()

    async def _housekeeping(self) -> None:
        """Take over what a worker that died left behind. At the start it is anything, later what is overdue."""
        grace = timedelta(0) if self._next_housekeeping is None else HOUSEKEEPING
        for saga in await self._releasing.declare(anew=self._next_housekeeping is None):
            await self._starting.begin(saga)
        self._starting.look_again()
        await self._deciding.flush()
        if self._next_housekeeping is None:
            await self._release()
        await self._sweep(grace)
        await self._take_held()
        self._next_housekeeping = self._clock.now() + HOUSEKEEPING
        self._next_due = self._now()

    async def _sweep(self, grace: timedelta) -> None:
        """Publish what was left behind. What the broker refuses is passed over: it may be so for ever."""
        refused: set[str] = set()
        while True:
            found = await self._store.unpublished(self._batch_size + len(refused), grace)
            left = [message for message in found if message.message_id not in refused]
            if not left:
                return
            _LOG.info("publishing %d messages that were left behind", len(left))
            refused.update(await self._deciding.publish(left))
            await self._deciding.flush()

    async def _release(self) -> None:
        """Try once more what could not be decided: this worker's definitions may be mended ones."""
        released = await self._store.release_versions(self._registry.held)
        if released:
            _LOG.info("%d sagas that were in quarantine are tried again", len(released))

    async def _take_held(self) -> None:
        """Handle held messages that need not wait any more."""
        async with self._taking_held:
            self._deciding.expected = False
            while held := await self._store.take_held(self._registry.held, self._batch_size):
                await self._deciding.handle([item.message for item in held], (), NO_MOMENT)

    async def _take_due(self) -> Sequence[UUID]:
        if self._next_due is None or self._now() < self._next_due:
            return ()
        self._next_due = None  # batches that are saved meanwhile may tell of more
        asked = self._now()
        handled = await self._inbox.handled_until()
        until = asked if handled is None else min(handled, asked)
        due = await self._store.take_due(self._registry.held, until, self._batch_size, self._lease)
        self._offset = due.now - self._clock.now()
        if (again := self._after(due, until)) is not None:
            self._wake_up_at(again)
        self._until = until
        return due.saga_ids

    def _after(self, due: Due, until: datetime) -> datetime | None:
        """When to take timers again: at once if there are more, soon if messages hold one up, else when due."""
        if len(due.saga_ids) >= self._batch_size:
            return due.now
        if due.next is None or due.next > due.now:
            return due.next
        return due.now + _BLOCKED
