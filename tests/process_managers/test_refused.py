"""What the database will never store concerns its own saga alone."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY

from amends.domain.errors import ActionRefused
from amends.domain.inputs import Release, Suspend
from amends.infrastructure.ports import Commit, CommitRefused
from tests.process_managers.system import Instead, System


class Database:
    """Refuses every commit with events of an order that it does not like."""

    def __init__(self, system: System, *disliked: str) -> None:
        self._store = system.store
        self.disliked = {system.id(key) for key in disliked}
        self.refusals = 0

    async def commit(self, commit: Commit) -> frozenset[Any]:
        if self.disliked & {aggregate.id for aggregate in commit.aggregates}:
            self.refusals += 1
            raise CommitRefused("the database refuses to store it: too long")
        return await self._store.commit(commit)


@pytest.mark.semantics("quarantine-database")
async def test_its_saga_is_put_into_quarantine_and_the_rest_of_its_batch_is_saved(system: System) -> None:
    database = Database(system, "o2")
    before = REGISTRY.get_sample_value("amends_quarantined_total") or 0
    await system.place("o1", "o2", "o3")
    await system.engine(store=Instead(system.store, commit=database.commit))
    await system.settle()
    [told] = await system.store.quarantined()
    assert (told.saga_id, told.version, told.held) == (system.id("o2"), 0, 1)
    assert told.error == "CommitRefused: the database refuses to store it: too long"
    assert [await system.status(key) for key in ("o1", "o3")] == ["completed", "completed"]
    assert database.refusals == 2, "once with the others, once alone"
    assert REGISTRY.get_sample_value("amends_quarantined_total") == before + 1
    await system.nothing_is_left()


@pytest.mark.semantics("quarantine-database")
async def test_released_it_goes_on_where_the_database_takes_it(system: System) -> None:
    database = Database(system)
    system.services.says["reserve"] = None
    await system.engine(store=Instead(system.store, commit=database.commit))
    await system.place("o1", "o2")
    await system.settle()
    database.disliked.add(system.id("o1"))
    await system.later(seconds=11)  # the attempts of both time out, in one batch
    [told] = await system.store.quarantined()
    assert (told.saga_id, told.version, told.held) == (system.id("o1"), 2, 0)
    assert "command.timed-out" in await system.told("o2")
    database.disliked.clear()
    system.services.says.clear()
    await system.act(Release("r1", "the limit is higher", by="anna"))
    await system.later(minutes=1)
    assert await system.status("o1") == "completed"


async def test_an_action_that_leads_to_it_is_refused_and_changes_nothing(system: System) -> None:
    system.services.says["reserve"] = None
    await system.engine()
    await system.place("o1")
    await system.settle()
    database = Database(system, "o1")
    store, system.store = system.store, Instead(system.store, commit=database.commit)  # type: ignore[assignment]
    with pytest.raises(ActionRefused, match="nothing was changed, for the database refuses"):
        await system.act(Suspend("s1", "wait", by="anna"))
    system.store = store
    assert "saga.suspended" not in await system.told("o1")


async def test_what_is_for_no_saga_ends_the_worker(system: System) -> None:
    async def commit(commit: Commit) -> frozenset[Any]:
        if commit.dead:
            raise CommitRefused("the database refuses to store it")
        return await system.store.commit(commit)

    engine = await system.engine(store=Instead(system.store, commit=commit))
    await system.tell("orders.placed", "m1", b"no JSON")
    with pytest.raises(CommitRefused):
        system.stepper.settle()
    assert not engine.alive
