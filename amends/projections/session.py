"""What a runner does for as long as its connection lasts: it feeds copies, and swaps in those that are built."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Final

from amends.infrastructure.postgres.copies import Copies, Copy
from amends.projections.feeding import Fed, Feeding
from amends.projections.projection import Projection

_LOG: Final = logging.getLogger("amends.projections")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is that is being built: events taken in and left, events per second, seconds left if known."""

    name: str
    done: int
    left: int
    rate: float | None
    seconds_left: float | None


class Session:
    """What a runner does for as long as its connection lasts; the copies that it has taken are its own so long."""

    def __init__(
        self,
        copies: Copies,
        feeding: Feeding,
        projections: Mapping[str, Projection],
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


def _position(copy: Copy) -> int:
    return copy.position
