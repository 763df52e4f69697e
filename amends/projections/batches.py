"""Events in the order of commits, a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from amends.domain.errors import UnreadableEvent
from amends.infrastructure.postgres.copies import Copies
from amends.projections.projection import Logged, logged


class Batch(NamedTuple):
    """Some events. `unreadable` says why one that follows them cannot be read; a `full` batch may have a next."""

    events: Sequence[Logged]
    unreadable: str
    full: bool


class Batches:
    """Reads batches. While one is taken in the next is read already: the database works beside us then."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._ahead: asyncio.Task[Batch] | None = None
        self._place = (0, 0)  # after which position, and how many, `_ahead` reads

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._forget()

    async def read(self, after: int, until: int | None, limit: int) -> Batch:
        """At most so many events that come after a position, and not after `until`."""
        batch = await self._read_before(after, until, limit) or await self._read(after, until, limit)
        if batch.full and not batch.unreadable:
            await self._forget()
            self._place = (batch.events[-1].position, limit)
            self._ahead = asyncio.create_task(self._read(self._place[0], None, limit))
        return batch

    async def _read_before(self, after: int, until: int | None, limit: int) -> Batch | None:
        """What was read ahead, if it is what is asked for now. One that is not full may have grown since."""
        if self._ahead is None or self._place != (after, limit):
            return None
        batch, self._ahead = await self._ahead, None
        usable = batch.full and (until is None or (batch.events and batch.events[-1].position <= until))
        return batch if usable else None

    async def _read(self, after: int, until: int | None, limit: int) -> Batch:
        rows = await self._copies.read(after, until, limit)
        events: list[Logged] = []
        try:
            for row in rows:
                events.append(logged(*row))  # noqa: PERF401 - what was read before the one that cannot be is kept
        except UnreadableEvent as error:
            return Batch(events, str(error), len(rows) == limit)
        return Batch(events, "", len(rows) == limit)

    async def _forget(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None
