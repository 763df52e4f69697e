"""Migrations while engines run: of instances, of what is held for them, and out of quarantine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from amends.domain.errors import ActionRefused
from amends.domain.inputs import Migrate
from amends.domain.migration import Migration
from amends.domain.saga import Saga, step
from amends.domain.wire import Outcome
from tests.domain.driver import Charge, Notify, Placed, Reserve
from tests.process_managers.system import System


class First(Saga[Placed], name="order", version=1, key="order_id"):
    """Its second step cannot be built."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step
    def notify(self) -> Notify:
        raise ZeroDivisionError("a fault")


class Second(
    Saga[Placed], name="order", version=2, key="order_id", migrates=[Migration(1, {"notify": "tell"})]
):
    """It can, has another name, and comes after another."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @step
    def tell(self) -> Notify:
        return Notify(order_id=self.key)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    made = System()
    await made.open()
    yield made
    await made.close()


@pytest.mark.semantics("versions", "migration")
async def test_instances_stay_with_their_version_until_they_are_migrated(system: System) -> None:
    system.services.says["reserve"] = None
    await system.engine(First)
    await system.place("o1", "o2")
    await system.settle()
    await system.engine(Second, name="two")
    with pytest.raises(ActionRefused, match="worker that holds order@2"):
        await system.act(Migrate("m1", "a fault", by="anna", to=2), "o1", sagas=[First])
    await system.act(Migrate("m1", "a fault", by="anna", to=2), "o1", sagas=[Second])
    for command in system.services.received:
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.later(seconds=20)  # what the other engine takes is held first
    assert await system.status("o1") == "completed"
    assert [each.key for each in await system.store.quarantined()] == ["o2"]
    assert {row.key: row.definition for row in await system.store.saga_rows()} == {"o1": 2, "o2": 1}
    assert system.services.asked == ["reserve o1", "reserve o2", "charge o1", "tell o1"]


async def test_a_saga_in_quarantine_is_released_by_a_migration_to_a_new_version(system: System) -> None:
    engine = await system.engine(First)
    await system.place("o1")
    await system.settle()
    await system.stop(engine)
    await system.engine(Second)
    await system.settle()
    assert [each.key for each in await system.store.quarantined()] == ["o1"], "its version is held by nobody"
    await system.act(Migrate("m1", "a fault", by="anna", to=2), sagas=[Second])
    await system.later(seconds=6)
    assert await system.status("o1") == "completed"
    assert await system.told("o1") == [
        *("saga.started", "command.recorded", "saga.migrated"),
        *["command.succeeded", "command.recorded"] * 2,
        *("command.succeeded", "saga.completed"),
    ]
    await system.nothing_is_left()
