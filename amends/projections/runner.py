"""Feeds projections: takes the copies that nobody feeds, keeps them up to date, builds new ones, and swaps them in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Final, Self

from amends.domain.errors import AmendsError
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.groups import only
from amends.infrastructure.postgres.copies import (
    Copies,
    Copy,
    Interrupted,
    events_channel,
    migrate_projections,
)
from amends.infrastructure.postgres.listening import listen
from amends.projections.catalogue import PROJECTIONS, STORE_VIEWS, STORE_VIEWS_VERSION
from amends.projections.feeding import Fed, Feeding
from amends.projections.projection import Projection

_LOG: Final = logging.getLogger("amends.projections")

_LOOK_AROUND: Final = 1.0
"""Seconds after which to look for copies that are new, or were left behind by a runner that died."""

_BREATH: Final = 0.02
"""Seconds in which events gather after the last of them was taken in: many small batches would cost much more."""

_PAUSE: Final = 0.5
"""Seconds to wait for a database that is away."""


class UnknownProjection(AmendsError):
    """There is no projection of this name."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is that is being built: events taken in and left, events per second, seconds left if known."""

    name: str
    done: int
    left: int
    rate: float | None
    seconds_left: float | None


async def prepare(database_url: str, namespace: str) -> None:
    """Make the tables and the views over the store; several programs may do so at once."""
    await migrate_projections(database_url, namespace)
    async with Copies.open(database_url, namespace) as copies:
        await _ensure(copies, PROJECTIONS)
        await _ensure_views(copies, {each.name: each for each in PROJECTIONS})


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
        """Run until `stop` is called. Waits while the database is away."""
        await migrate_projections(self._database_url, self._namespace)
        channel = events_channel(self._namespace)
        listening = asyncio.create_task(
            listen(self._database_url, channel, self._woken.set, "amends projections listen")
        )
        try:
            while not self._stopping.is_set():
                try:
                    await self._serve()
                except Interrupted as error:
                    _LOG.warning("beginning again: %s", error)
                    await self._clock.sleep(_PAUSE)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def catch_up(self) -> None:
        """Take in all events that there are into all copies that nobody else feeds, and return."""
        await migrate_projections(self._database_url, self._namespace)
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
        await migrate_projections(self._database_url, self._namespace)
        async with self._session() as session:
            await session.begin_building(names)
            while left := await session.building(names):
                for progress in left:
                    tell(progress)
                if not await session.turn():
                    await self._clock.sleep(_BREATH)

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

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[_Session]:
        async with Copies.open(self._database_url, self._namespace) as copies:
            await _ensure(copies, self._projections.values())
            await _ensure_views(copies, self._projections)
            feeding = Feeding(copies, self._projections, self._clock, self._probe)
            yield _Session(copies, feeding, self._projections, self._batch_size, self._probe)

    async def _serve(self) -> None:
        async with self._session() as session:
            looked: float = 0.0
            loop = asyncio.get_running_loop()
            while not self._stopping.is_set():
                self._woken.clear()
                if loop.time() >= looked + _LOOK_AROUND:
                    await session.look_around()
                    looked = loop.time()
                moved = await session.turn()
                if moved and not session.more:
                    await self._clock.sleep(_BREATH)
                elif not moved:
                    await self._wait(self._woken if session.taken else self._stopping)

    async def _wait(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AROUND):
                await event.wait()


class _Session:
    """What a runner does for as long as its connection lasts; the copies that it has taken are its own so long."""

    def __init__(
        self,
        copies: Copies,
        feeding: Feeding,
        projections: dict[str, Projection],
        batch_size: int,
        probe: Callable[[str], None],
    ) -> None:
        self._copies = copies
        self._feeding = feeding
        self._projections = projections
        self._batch_size = batch_size
        self._probe = probe
        self.taken: set[tuple[str, int]] = set()
        self.more = False  # the latest turn left some events for the next

    async def look_around(self) -> None:
        """Take what nobody feeds, drop what nobody needs."""
        for copy in await self._copies.all():
            if (copy.name, copy.number) in self.taken or copy.name not in self._projections:
                continue
            if copy.state == "retired":
                await self._drop(copy)
            else:
                await self._take(copy)

    async def begin_building(self, names: Sequence[str]) -> None:
        """A second copy of each, unless one is being built; those that are, are taken where nobody feeds them."""
        async with self._copies.alone():
            building = {copy.name: copy for copy in await self._copies.all() if copy.state == "building"}
            for name in names:
                projection = self._projections[name]
                copy = building.get(name) or await self._copies.make(
                    name, projection.version, projection.package, "building"
                )
                await self._take(copy)

    async def building(self, names: Sequence[str]) -> list[Progress]:
        """How far those are that are not live yet."""
        return [Progress(*row) for row in await self._copies.progress(names)]

    async def turn(self) -> int:
        """One batch for each group of copies that stand at one place; how many events were taken in."""
        ours = [copy for copy in await self._copies.all() if (copy.name, copy.number) in self.taken]
        ours = [copy for copy in ours if copy.state != "retired"]
        groups = [list(group) for _, group in groupby(sorted(ours, key=_position), _position)]
        self.more, events = False, 0
        for group, following in zip_longest(groups, groups[1:]):
            until = following[0].position if following else None
            fed = await self._feeding.feed(group, until, self._batch_size)
            await self._give_up(fed)
            events += fed.events
            self.more |= fed.more
            if not fed.more:
                await self._swap(group)
        return events

    async def _take(self, copy: Copy) -> None:
        """Feed it from now on, unless somebody else does, or it is of a version that we do not know."""
        if copy.version == self._projections[copy.name].version and await self._copies.take(copy):
            self.taken.add((copy.name, copy.number))

    async def _drop(self, copy: Copy) -> None:
        async with self._copies.alone():
            await self._copies.drop(copy)

    async def _give_up(self, fed: Fed) -> None:
        for copy, error in fed.failed.items():
            _LOG.error("projection %s, copy %d, does not go on: %s", copy.name, copy.number, error)
            await self._copies.give_up(copy, error)
            self.taken.discard((copy.name, copy.number))

    async def _swap(self, group: Sequence[Copy]) -> None:
        for copy in group:
            if copy.state != "building":
                continue
            async with self._copies.alone():
                retired = await self._copies.swap(copy, self._projections[copy.name].package)
                self._probe("swapping")
            if retired is not None:
                self._probe("swapped")
                self.taken.discard((retired.name, retired.number))
                _LOG.info("projection %s: copy %d is live", copy.name, copy.number)
                await self._drop(retired)


async def _ensure(copies: Copies, projections: Collection[Projection]) -> None:
    """Every projection has a live copy, and where that is of an older version, one that is being built."""
    if not await _missing(copies, projections):
        return
    async with copies.alone():
        for projection, state in await _missing(copies, projections):
            await copies.make(projection.name, projection.version, projection.package, state)


async def _ensure_views(copies: Copies, projections: Mapping[str, Projection]) -> None:
    """The views are what their `.sql` files say, unless they are of a newer program."""
    async with copies.alone():
        await copies.ensure_schema()
        await copies.show("store", STORE_VIEWS_VERSION, STORE_VIEWS, ["sentence", "audit"])
        for copy in await copies.all():
            projection = projections.get(copy.name)
            if projection and copy.state == "live" and copy.version == projection.version:
                await copies.show(copy.name, copy.version, projection.package, ["views"], copy)


async def _missing(copies: Copies, projections: Collection[Projection]) -> list[tuple[Projection, str]]:
    found = await copies.all()
    missing: list[tuple[Projection, str]] = []
    for each in projections:
        versions = {copy.state: copy.version for copy in found if copy.name == each.name}
        if "live" not in versions:
            missing.append((each, "live"))
        elif versions["live"] < each.version and "building" not in versions:
            missing.append((each, "building"))
    return missing


def _position(copy: Copy) -> int:
    return copy.position
