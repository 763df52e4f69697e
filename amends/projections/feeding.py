"""One batch of events, taken into the copies that stand at the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from amends.infrastructure.ports import Clock
from amends.infrastructure.postgres.copies import Copies, Copy, Refused
from amends.projections.batches import Batches
from amends.projections.projection import Change, Logged, Projection


@dataclass(frozen=True, slots=True)
class Fed:
    """What became of a batch: how many events were taken in, whether there were more, and who cannot go on."""

    events: int
    more: bool
    failed: Mapping[Copy, str]


class Feeding:
    """Reads a batch once for all copies at one place, folds it, and commits rows and places in one transaction."""

    def __init__(
        self,
        copies: Copies,
        batches: Batches,
        projections: Mapping[str, Projection],
        clock: Clock,
        probe: Callable[[str], None],
    ) -> None:
        self._copies = copies
        self._batches = batches
        self._projections = projections
        self._clock = clock
        self._probe = probe

    async def feed(self, group: Sequence[Copy], until: int | None, limit: int) -> Fed:
        """Take in what comes after the copies' place, and not after `until`. All of them stand at one place."""
        began = self._clock.now()
        events, unreadable, full = await self._batches.read(group[0].position, until, limit)
        self._probe("read")
        failed = dict.fromkeys(group, unreadable) if unreadable and not events else {}
        changes = {} if failed or not events else await self._fold(group, events, failed)
        if changes:
            await self._save(changes, events, began, failed)
        return Fed(len(events), full and not failed, failed)

    async def _fold(
        self, group: Sequence[Copy], events: Sequence[Logged], failed: dict[Copy, str]
    ) -> dict[Copy, Sequence[Change]]:
        saga_ids = {event.saga_id for event in events}
        changes: dict[Copy, Sequence[Change]] = {}
        for copy in group:
            projection = self._projections[copy.name]
            states = await self._copies.states(copy, projection.package, saga_ids)
            try:
                changes[copy] = projection.fold(states, events)
            except Exception as error:  # noqa: BLE001 - a bug in one projection does not stop the others
                failed[copy] = f"{type(error).__name__}: {error}"
        return changes

    async def _save(
        self,
        changes: Mapping[Copy, Sequence[Change]],
        events: Sequence[Logged],
        began: datetime,
        failed: dict[Copy, str],
    ) -> None:
        """All in one transaction; where the database refuses one of them, each by itself."""
        try:
            await self._commit(changes, events, began)
        except Refused as error:
            if len(changes) == 1:
                failed |= dict.fromkeys(changes, str(error))
                return
            for copy, changed in changes.items():
                await self._save({copy: changed}, events, began, failed)

    async def _commit(
        self, changes: Mapping[Copy, Sequence[Change]], events: Sequence[Logged], began: datetime
    ) -> None:
        position = events[-1].position
        busy = (self._clock.now() - began) / len(changes)
        async with self._copies.transaction():
            for copy, changed in changes.items():
                package = self._projections[copy.name].package
                for statement, columns in changed:
                    await self._copies.change(copy, package, statement, columns)
                await self._copies.advance(copy, position, len(events), busy)
            self._probe("folded")
        self._probe("committed")
