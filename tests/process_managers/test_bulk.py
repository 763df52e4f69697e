"""One action on many sagas: chosen once, done at a rate, each with its result, and resumable after a crash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from amends.domain.errors import VersionNotHeld
from amends.domain.inputs import Action, Cancel, Release, Retry, Suspend
from amends.domain.wire import Outcome
from amends.infrastructure.jobs import JobItem
from amends.process_managers.acting import act
from amends.process_managers.bulk import Bulk, OtherJob, UnknownJob
from amends.process_managers.choosing import Choice
from amends.process_managers.registry import Registry
from tests.domain.driver import Order
from tests.process_managers.system import NAMESPACE, Died, System
from tests.process_managers.test_quarantine import Faulty

SUSPEND = Suspend("", "an outage", by="anna")


class Pace:
    """A clock that only notes how long it was to wait."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def now(self) -> datetime:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


class Operated(System):
    """A system with the means to act on many sagas; `acted` are the requests, `dies_at` when acting crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[tuple[UUID, str]] = []
        self.dies_after: int | None = None
        self.missing: set[UUID] = set()
        self.pace = Pace()
        self.bulk = Bulk(self.store, self.store.jobs, self.pace, self.do)

    async def do(self, saga_id: UUID, action: Action) -> None:
        if saga_id in self.missing:
            raise VersionNotHeld("order", 1)
        registry = Registry([Order.definition])
        await act(self.store, self.broker.publisher(), registry, NAMESPACE, saga_id, action)
        self.acted.append((saga_id, action.message_id))
        if self.dies_after == len(self.acted):
            raise Died

    async def chosen(self, choice: Choice) -> list[str]:
        """The keys of the sagas that were chosen."""
        found = [each async for each in self.bulk.choose(choice)]
        return sorted(each.state.key if each.state else "?" for each in found)

    async def results(self, job: str) -> dict[UUID, tuple[str, str]]:
        return {item.saga_id: (item.result, item.reason) async for item in self.bulk.items(job)}


@pytest.fixture
async def system() -> AsyncIterator[Operated]:
    made = Operated()
    await made.open()
    yield made
    await made.close()


async def asked(system: Operated, *keys: str) -> None:
    """Sagas that wait for the answer of their first step, of which nothing is heard."""
    system.services.says["reserve"] = None
    await system.engine()
    await system.place(*keys)
    await system.settle()


async def run(system: Operated, job: str) -> None:
    await system.bulk.run(job)


async def test_every_chosen_saga_gets_the_action_and_its_result_is_kept(system: Operated) -> None:
    await asked(system, "o1", "o2", "o3")
    await system.act(Suspend("s1", "before", by="anna"), "o2")
    job = await system.bulk.prepare("night", SUSPEND, Choice(saga="order"))
    assert (job.done, job.refused, job.left) == (0, 0, 3)
    assert system.acted == [], "nothing is done while it is prepared"
    await run(system, "night")
    results = await system.results("night")
    assert results[system.id("o1")] == ("done", "")
    assert results[system.id("o2")][0] == "refused"
    assert "is suspended already, because: before" in results[system.id("o2")][1]
    job = await system.bulk.job("night")
    assert (job.done, job.refused, job.left) == (2, 1, 0)
    event = (await system.history("o3"))[-1].event
    assert (event.by, event.cause) == ("anna", f"night/{system.id('o3')}")


async def test_a_job_that_was_cut_off_goes_on_where_it_stopped_and_does_nothing_twice(
    system: Operated,
) -> None:
    """It dies after an action was committed, and before its result was noted."""
    await asked(system, "o1", "o2", "o3")
    await system.bulk.prepare("night", SUSPEND, Choice())
    system.dies_after = 2
    with pytest.raises(Died):
        await run(system, "night")
    assert (await system.bulk.job("night")).left == 2
    await system.place("o4")
    await system.settle()
    again = await system.bulk.prepare("night", SUSPEND, Choice())
    assert again.left == 2, "the sagas were chosen once"
    await run(system, "night")
    assert (await system.bulk.job("night")).done == 3
    assert len(system.acted) == 4, "one was asked for twice"
    for key in ("o1", "o2", "o3"):
        assert (await system.told(key)).count("saga.suspended") == 1
    assert "saga.suspended" not in await system.told("o4")


async def test_it_goes_no_quicker_than_it_is_told(system: Operated) -> None:
    await asked(system, *(f"o{number}" for number in range(6)))
    await system.bulk.prepare("slow", SUSPEND, Choice())
    seen: list[JobItem] = []
    await system.bulk.run("slow", rate=2, progress=seen.append)
    assert system.pace.waited == [0.5] * 6
    assert [item.result for item in seen] == ["done"] * 6


async def test_a_saga_whose_version_nobody_holds_is_left_for_another_time(system: Operated) -> None:
    await asked(system, "o1", "o2")
    system.missing = {system.id("o1")}
    await system.bulk.prepare("cancels", Cancel("", "enough", by="anna"), Choice())
    await run(system, "cancels")
    assert (await system.bulk.job("cancels")).left == 1
    system.missing = set()
    await run(system, "cancels")
    assert (await system.bulk.job("cancels")).done == 2


async def test_sagas_are_chosen_by_type_step_version_age_and_error(system: Operated) -> None:
    await asked(system, "o1")
    await system.later(seconds=5)
    await system.place("o2")
    await system.settle()
    assert await system.chosen(Choice()) == ["o1", "o2"]
    assert await system.chosen(Choice(saga="order", version=1, step="reserve")) == ["o1", "o2"]
    assert await system.chosen(Choice(saga="other")) == []
    assert await system.chosen(Choice(version=2)) == []
    assert await system.chosen(Choice(step="ship")) == []
    assert await system.chosen(Choice(older_than=timedelta(seconds=5))) == ["o1"]
    await system.later(seconds=6)
    assert await system.chosen(Choice(error="no answer")) == ["o1"]
    assert await system.chosen(Choice(error="no answer", older_than=timedelta(hours=1))) == []


async def test_sagas_are_chosen_by_their_condition(system: Operated) -> None:
    await asked(system, "o1", "o2", "o3", "o4")
    await system.act(Suspend("s1", "an outage", by="anna"), "o1")
    system.services.says |= {"undo reserve": Outcome.FAILED}
    await system.act(Cancel("c1", "enough", by="anna"), "o2")
    await system.later(seconds=20)
    assert await system.chosen(Choice(condition="suspended")) == ["o1"]
    assert await system.chosen(Choice(condition="running")) == ["o1", "o3", "o4"]
    assert await system.chosen(Choice(condition="compensating")) == ["o2"]
    assert await system.chosen(Choice(condition="parked")) == ["o2"]
    assert await system.chosen(Choice(condition="quarantined")) == []
    await system.bulk.prepare("again", Retry("", "it is back", by="anna"), Choice(condition="parked"))
    system.services.says.clear()
    await run(system, "again")
    await system.settle()
    assert await system.status("o2") == "compensated"


async def test_sagas_in_quarantine_are_chosen_by_their_error_and_released(system: Operated) -> None:
    await system.engine(Faulty)
    await system.place("large", "o1")
    await system.settle()
    assert await system.chosen(Choice(condition="quarantined", error="ZeroDivisionError")) == ["large"]
    await system.bulk.prepare("free", Release("", "mended", by="anna"), Choice(condition="quarantined"))
    await run(system, "free")
    assert "saga.released" in await system.told("large")


async def test_a_name_stands_for_one_job(system: Operated) -> None:
    await asked(system, "o1")
    await system.bulk.prepare("night", SUSPEND, Choice())
    with pytest.raises(OtherJob, match="expected a new name for the job; 'night' is one that does"):
        await system.bulk.prepare("night", Cancel("", "enough", by="anna"), Choice())
    with pytest.raises(UnknownJob, match="there is no job 'day'"):
        await system.bulk.run("day")
