"""Feeds projections: takes the copies that nobody feeds, keeps them up to date, builds new ones, and swaps them in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, Self

from amends.domain.errors import AmendsError
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.groups import only
from amends.infrastructure.postgres.copies import Copies, Interrupted, channel, events_channel
from amends.infrastructure.postgres.listening import listening
from amends.projections.batches import Batches
from amends.projections.catalogue import PROJECTIONS
from amends.projections.feeding import Feeding
from amends.projections.installing import ensure_copies, ensure_views
from amends.projections.projection import Projection
from amends.projections.session import Progress, Session

_LOG: Final = logging.getLogger("amends.projections")

_LOOK_AROUND: Final = 1.0
"""Seconds after which to look for copies that are new, or were left behind by a runner that died."""

_BREATH: Final = 0.02
"""Seconds in which events gather after the last of them was taken in: many small batches would cost much more."""

_PAUSE: Final = 1.0
"""Seconds to wait for a database that is away, or refuses."""

LARGE_BATCH: Final = 10_000
"""Events that a process takes in at once that does nothing else: beside a worker it would hold up the sagas."""


class UnknownProjection(AmendsError):
    """There is no projection of this name."""


class Runner:
    """Keeps the views of a namespace up to date. Run as many as you like: each copy is fed by one of them.

    `batch_size` is the most events that one transaction takes in. `probe` is called at labelled points, for tests
    that kill the process there: `read`, `folded` (before the commit), `committed`, `swapping` (before its commit)
    and `swapped`.
    """

    def __init__(
        self,
        database_url: str,
        namespace: str,
        projections: Sequence[Projection] = PROJECTIONS,
        *,
        batch_size: int = 1000,
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database_url = database_url
        self._namespace = namespace
        self._projections = {each.name: each for each in projections}
        self._batch_size = batch_size
        self._probe = probe
        self._clock = SystemClock()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch in hand, and end."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Run until `stop` is called. While the database is away, or refuses, it is tried again and logged."""
        async with self._hearing(events_channel(self._namespace)):
            while not self._stopping.is_set():
                try:
                    await self._serve()
                except Interrupted as error:
                    _LOG.warning("beginning again: %s", error)
                    await self._clock.sleep(_PAUSE)

    async def catch_up(self) -> None:
        """Take in all events that there are into all copies that nobody else feeds, and return."""
        async with self._session() as session:
            await session.look_around()
            while await session.turn():
                pass

    async def rebuild(self, names: Sequence[str], tell: Callable[[Progress], None] = lambda _: None) -> None:
        """Build second copies of these beside the live ones, and swap them in; goes on with one that was begun.

        `tell` hears of the progress after every batch. Raises `UnknownProjection`.
        """
        unknown = [name for name in names if name not in self._projections]
        if unknown:
            raise UnknownProjection(
                f"expected names of projections ({', '.join(self._projections)}), got {', '.join(unknown)}"
            )
        async with self._hearing(channel(self._namespace)), self._session() as session:
            await session.begin_building(names)
            self._woken.clear()
            while left := await session.building(names):
                for progress in left:
                    tell(progress)
                if not await session.turn():  # another feeds them, or readers are in the way of the swap
                    await self._wait(self._woken)
                    await session.look_around()
                self._woken.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run beside the body; leaving it finishes the batch in hand and stops."""
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self.run(), name="amends-projections")
                try:
                    yield self
                finally:
                    self.stop()
                    await asyncio.wait((work,))
        except BaseExceptionGroup as error:
            raise only(error) from error

    def _hearing(self, channel: str) -> AbstractAsyncContextManager[None]:
        """Be woken by what is told there."""
        return listening(self._database_url, channel, self._woken.set, "amends projections listen")

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        async with (
            Copies.open(self._database_url, self._namespace) as copies,
            Batches(copies) as batches,
        ):
            await copies.migrate()
            await ensure_copies(copies, self._projections)
            await ensure_views(copies, self._projections)
            feeding = Feeding(copies, batches, self._projections, self._clock, self._probe)
            yield Session(copies, feeding, self._projections, self._batch_size, self._probe)

    async def _serve(self) -> None:
        async with self._session() as session:
            look_at = self._clock.now()
            while not self._stopping.is_set():
                self._woken.clear()
                if self._clock.now() >= look_at:
                    await session.look_around()
                    look_at = self._clock.now() + timedelta(seconds=_LOOK_AROUND)
                moved = await session.turn()
                if moved and not session.more:
                    await self._clock.sleep(_BREATH)
                elif not moved:
                    await self._wait(self._woken if session.taken else self._stopping)

    async def _wait(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AROUND):
                await event.wait()
