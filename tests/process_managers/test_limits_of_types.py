"""How many sagas of a type run at once, in a system in memory."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from amends.domain.errors import DefinitionError
from amends.domain.inputs import Resume, Suspend
from amends.domain.saga import Saga
from amends.domain.wire import Outcome
from amends.infrastructure.limits import TypeStatus
from tests.domain.driver import Order, Placed
from tests.process_managers.system import Died, Instead, System


class Few(Order, name="order", version=1, key="order_id", deadline=timedelta(hours=1), limit=2):
    """At most two at once."""


async def limited(system: System, name: str = "one", **options: Any) -> None:
    await system.engine(Few, name=name, **options)


async def standing(system: System) -> TypeStatus:
    [status] = (await system.store.limits.status()).types
    return status


async def place(system: System, count: int) -> None:
    await system.place(*(f"o{n}" for n in range(count)))


@pytest.mark.semantics("type-limit")
async def test_no_more_sagas_of_a_type_run_at_once_than_its_limit(system: System) -> None:
    await limited(system)
    system.services.says["reserve"] = None
    await place(system, 9)
    await system.settle()
    assert len(system.services.asked) == 2
    assert await standing(system) == TypeStatus("order", 2, 2, 7)


@pytest.mark.semantics("type-limit")
async def test_at_the_limit_starts_are_not_pulled(system: System) -> None:
    await limited(system)
    system.services.says["reserve"] = None
    await place(system, 2)
    await system.settle()
    await system.place("later")
    await system.settle()
    assert (await standing(system)).waiting == 0
    for command in list(system.services.received):
        await system.services.answer(command, Outcome.SUCCEEDED)
    system.services.says.clear()
    await system.settle()
    assert await system.status("later") == "completed"


async def test_all_start_in_their_turn_and_nothing_is_lost_or_doubled(system: System) -> None:
    await limited(system)
    await place(system, 25)
    await system.settle()
    await system.later(seconds=10)
    assert await system.statuses() == {"completed"}
    assert len(await system.store.saga_rows()) == 25
    assert set(Counter(system.services.asked).values()) == {1}
    first = [each for each in system.services.asked if each.startswith("reserve")]
    assert first == [f"reserve o{n}" for n in range(25)]
    assert await standing(system) == TypeStatus("order", 2, 0, 0)
    await system.nothing_is_left()


async def test_the_count_is_right_across_several_workers_and_after_crashes(system: System) -> None:
    async def commit(*_: Any) -> None:
        raise Died

    doomed = await system.engine(Few, name="doomed", store=Instead(system.store, commit=commit))
    system.services.says["reserve"] = None
    await place(system, 9)
    await system.died(doomed)
    for name in ("two", "three"):
        await limited(system, name=name)
    await system.later(seconds=5)
    assert (await standing(system)).busy == 2
    await system.later(seconds=60)
    assert (await standing(system)).busy <= 2
    system.services.says.clear()
    await system.later(minutes=20)
    assert await system.statuses() <= {"completed", "compensated"}
    assert len(await system.store.saga_rows()) == 9


async def test_starts_are_pulled_again_when_no_worker_has_the_limit_any_more(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that paused them has none of its own; nothing waits in the store that would remind it."""
    monkeypatch.setattr("amends.infrastructure.memory.limits.IN_FORCE", timedelta(seconds=3))
    await limited(system, name="with a limit")
    system.services.says["reserve"] = None
    await place(system, 2)
    await system.settle()
    system.stepper.stop("with a limit")
    await system.engine(name="without")
    await system.later(seconds=1)
    await place(system, 5)
    await system.settle()
    assert len(await system.store.saga_rows()) == 2
    await system.later(seconds=9)
    system.services.says.clear()
    await system.later(minutes=3)
    assert len(await system.store.saga_rows()) == 5


@pytest.mark.semantics("slots")
async def test_parked_sagas_hold_no_slot(system: System) -> None:
    await limited(system)
    system.services.says["notify"] = None
    await place(system, 4)
    await system.later(seconds=90)
    assert sum(each.startswith("notify") for each in system.services.asked) >= 4 * 3
    assert (await standing(system)).busy == 0


@pytest.mark.semantics("slots")
async def test_suspended_sagas_hold_no_slot_and_take_it_back(system: System) -> None:
    await limited(system)
    system.services.says["reserve"] = None
    await place(system, 3)
    await system.settle()
    await system.act(Suspend("s1", "an outage"), "o0", sagas=[Few])
    await system.later(seconds=6)
    assert len(system.services.asked) == 3
    await system.act(Resume("r1", "over"), "o0", sagas=[Few])
    assert (await standing(system)).busy == 3


async def test_a_limit_that_is_new_counts_the_sagas_that_run(system: System) -> None:
    before = await system.engine(Order)
    system.services.says["reserve"] = None
    await place(system, 3)
    await system.settle()
    await system.stop(before)
    await limited(system, name="two")
    await system.place("later")
    await system.later(seconds=1)
    assert await system.status("later") == "unknown"
    assert (await standing(system)).busy == 3


async def test_without_its_limit_all_that_wait_start(system: System) -> None:
    await limited(system)
    system.services.says["reserve"] = None
    await place(system, 5)
    await system.settle()
    await system.stop(system.stepper.processes["one"])
    await system.engine(Order, name="two")
    await system.later(minutes=2)
    assert len(await system.store.saga_rows()) == 5


async def test_the_limit_may_change_without_a_new_version(system: System) -> None:
    assert Few.definition.shape() == Order.definition.shape()
    await limited(system)
    await system.stop(system.stepper.processes["one"])
    await system.engine(Order, name="two")


async def test_another_start_for_a_key_that_runs_is_refused_at_once(system: System) -> None:
    await limited(system)
    system.services.says["reserve"] = None
    await place(system, 2)
    await system.settle()
    await system.later(seconds=1)
    await system.tell("orders.placed", "other", b'{"order_id": "o1", "total": 7}')
    system.services.says.clear()
    await system.later(minutes=1)
    assert [letter.reason[:18] for letter in system.store.dead.values()] == ["expected a new key"]


def test_a_limit_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(DefinitionError, match="at least 1 saga at once, got 0"):

        class NoneAtAll(Saga[Placed], name="none", version=1, key="order_id", limit=0):
            pass
