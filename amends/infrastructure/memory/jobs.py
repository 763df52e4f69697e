"""Jobs, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from amends.domain.events import JsonObject
from amends.infrastructure.jobs import Job, JobItem
from amends.infrastructure.ports import Clock, SagaRow
from amends.infrastructure.shapes import plain


class MemoryJobs:
    """The `Jobs` port in memory, over the sagas of a store."""

    def __init__(self, clock: Clock, sagas: Callable[[], Iterable[SagaRow]]) -> None:
        self._clock = clock
        self._sagas = sagas
        self._jobs: dict[str, Job] = {}
        self._items: dict[str, dict[int, JobItem]] = {}

    async def create(
        self, job: str, action: JsonObject, chosen_by: JsonObject, saga_ids: Sequence[UUID]
    ) -> bool:
        if job in self._jobs:
            return False
        self._jobs[job] = Job(job, plain(action), plain(chosen_by), self._clock.now(), 0, 0, 0)
        self._items[job] = {place: JobItem(place, each) for place, each in enumerate(saga_ids, start=1)}
        return True

    async def find(self, job: str) -> Job | None:
        found = self._jobs.get(job)
        if found is None:
            return None
        results = [item.result for item in self._items[job].values()]
        counts = (results.count("done"), results.count("refused"), results.count(""))
        return Job(job, found.action, found.chosen_by, found.created, *counts, found.last)

    async def latest(self, limit: int) -> Sequence[Job]:
        newest = sorted(self._jobs.values(), key=lambda job: job.created, reverse=True)[:limit]
        found = [await self.find(job.name) for job in newest]
        return [job for job in found if job is not None]

    async def items(
        self, job: str, *, after: int = 0, open_only: bool = False, limit: int = 500
    ) -> Sequence[JobItem]:
        items = self._items.get(job, {}).values()
        return [item for item in items if item.place > after and not (open_only and item.result)][:limit]

    async def settle(self, job: str, item: JobItem) -> None:
        if not self._items[job][item.place].result:
            self._items[job][item.place] = item
            self._jobs[job] = replace(self._jobs[job], last=self._clock.now())

    async def choose(
        self, saga: str | None, definition: int | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        found = sorted(
            row.saga_id
            for row in self._sagas()
            if row.status in ("running", "compensating", "")
            and saga in (None, row.saga)
            and definition in (None, row.definition)
        )
        return [saga_id for saga_id in found if after is None or saga_id > after][:limit]
