"""One action on many sagas: chosen once, done one by one at a rate, each with its result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from amends.domain.errors import ActionRefused, AmendsError, VersionNotHeld
from amends.domain.inputs import Action
from amends.infrastructure.jobs import Job, JobItem, Jobs
from amends.infrastructure.ports import Clock, Store
from amends.process_managers.choosing import Choice, Chosen, choose
from amends.process_managers.requests import from_data, to_data

RATE: Final = 20.0
"""Sagas a second, unless told otherwise."""


class UnknownJob(AmendsError):
    """There is no job of this name."""


class OtherJob(AmendsError):
    """A job of this name does something else."""


class Bulk:
    """Runs jobs. `act` does an action to a saga, and raises `ActionRefused`.

    A job's action is known to each saga by the job's name, so one that was cut off between an action and the note of
    its result does nothing twice when it goes on.
    """

    def __init__(
        self, store: Store, jobs: Jobs, clock: Clock, act: Callable[[UUID, Action], Awaitable[None]]
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._act = act

    def choose(self, choice: Choice) -> AsyncIterator[Chosen]:
        """The sagas that a job would be for: a dry run."""
        return choose(self._store, self._jobs, choice)

    async def prepare(self, name: str, action: Action, choice: Choice) -> Job:
        """Choose the sagas, and keep the job; nothing is done yet. A job of this name that was kept before is returned
        as it is, with the sagas that were chosen then.

        Raises `OtherJob` where that one has another action.
        """
        wanted = to_data(replace(action, message_id=name))
        if await self._jobs.find(name) is None:
            chosen = [each.saga_id async for each in self.choose(choice)]
            await self._jobs.create(name, wanted, choice.to_data(), chosen)
        job = await self.job(name)
        if job.action != wanted:
            raise OtherJob(
                f"expected a new name for the job; {name!r} is one that does {job.action}. "
                "To let it go on, ask for the same again"
            )
        return job

    async def job(self, name: str) -> Job:
        """How far it is. Raises `UnknownJob`."""
        job = await self._jobs.find(name)
        if job is None:
            raise UnknownJob(f"expected the name of a job that was begun; there is no job {name!r}")
        return job

    async def latest(self, limit: int = 50) -> Sequence[Job]:
        """The latest jobs, newest first. One with sagas left goes on by `run`."""
        return await self._jobs.latest(limit)

    async def items(self, name: str) -> AsyncIterator[JobItem]:
        """Every item with its result, in order."""
        after = 0
        while page := await self._jobs.items(name, after=after):
            for item in page:
                yield item
            after = page[-1].place

    async def run(
        self, name: str, *, rate: float = RATE, progress: Callable[[JobItem], None] = lambda _: None
    ) -> Job:
        """Do what is left of the job, at most `rate` sagas a second.

        Sagas whose version no running worker holds are left for another time. Raises `UnknownJob`.
        """
        action = from_data((await self.job(name)).action)
        after = 0
        while page := await self._jobs.items(name, after=after, open_only=True):
            for item in page:
                done = await self._do(name, item, action)
                progress(done)
                await self._clock.sleep(1 / rate)
            after = page[-1].place
        return await self.job(name)

    async def _do(self, name: str, item: JobItem, action: Action) -> JobItem:
        try:
            await self._act(item.saga_id, replace(action, message_id=f"{name}/{item.saga_id}"))
        except VersionNotHeld as missing:
            return replace(item, reason=str(missing))
        except ActionRefused as refused:
            result = replace(item, result="refused", reason=str(refused))
        else:
            result = replace(item, result="done")
        await self._jobs.settle(name, result)
        return result
