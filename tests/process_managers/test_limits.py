"""Limits of participants, in a system in memory: what is held, released, and left alone by the circuit breaker."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from amends.domain import events as e
from amends.domain import wire
from amends.domain.inputs import Abandon, Cancel, Resume, Suspend
from amends.domain.limits import Breaker, Limit
from amends.domain.wire import Outcome
from tests.process_managers.system import Died, Instead, System

TWO = Limit("inventory", outstanding=2)
SECOND = timedelta(seconds=1)


async def limited(system: System, *limits: Limit, name: str = "one", **options: Any) -> None:
    await system.engine(name=name, limits=limits, **options)


def asked(system: System, what: str) -> int:
    return sum(each.startswith(f"{what} ") for each in system.services.asked)


@pytest.mark.semantics("participant-limit")
async def test_no_more_commands_are_outstanding_than_the_limit(system: System) -> None:
    await limited(system, TWO)
    system.services.says["reserve"] = None
    await system.place(*(f"o{n}" for n in range(5)))
    await system.settle()
    assert asked(system, "reserve") == 2
    for command in list(system.services.received):
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    assert asked(system, "reserve") == 4


async def test_all_sagas_drain_and_nothing_is_lost_or_doubled(system: System) -> None:
    await limited(system, TWO, Limit("payments", per_second=3))
    await system.place(*(f"o{n}" for n in range(20)))
    await system.later(seconds=10)
    assert await system.statuses() == {"completed"}
    assert set(Counter(system.services.asked).values()) == {1}
    await system.nothing_is_left()


@pytest.mark.semantics("participant-limit")
async def test_no_more_commands_leave_in_a_second_than_the_limit(system: System) -> None:
    await limited(system, Limit("inventory", per_second=3))
    await system.place(*(f"o{n}" for n in range(10)))
    counts = []
    for _ in range(4):
        await system.settle()
        counts.append(asked(system, "reserve"))
        await system.later(seconds=1)
    assert counts == [3, 6, 9, 10]


async def test_a_held_command_does_not_time_out_and_expires_after_its_release(system: System) -> None:
    await limited(system, Limit("inventory", outstanding=1))
    system.services.says["reserve"] = None
    await system.place("o1", "o2")
    await system.later(seconds=9)
    assert await system.told("o2") == ["saga.started", "command.recorded"]
    [first] = system.services.received
    await system.services.answer(first, Outcome.SUCCEEDED)
    await system.settle()
    [_, *others] = [c for c in system.services.received if c.headers[wire.STEP] == "reserve"]
    assert [command.headers[wire.KEY] for command in others] == ["o2"]
    assert others[0].headers[wire.EXPIRES] > wire_time(system, 9)
    assert "command.timed-out" not in await system.told("o2")


def wire_time(system: System, seconds: int) -> str:
    return (system.clock.now() + SECOND * seconds).isoformat().replace("+00:00", "Z")


@pytest.mark.semantics("circuit-breaker")
async def test_the_circuit_breaker_leaves_a_failing_service_alone_and_probes_before_it_closes(
    system: System,
) -> None:
    breaker = Breaker(failure_rate=0.5, outcomes=4, pause=SECOND * 60, probes=2)
    await limited(system, Limit("inventory", outstanding=4, breaker=breaker))
    system.services.says["reserve"] = Outcome.FAILED
    await system.place(*(f"o{n}" for n in range(30)))
    await system.later(seconds=30)
    assert asked(system, "reserve") == 4
    await system.later(seconds=31)
    assert asked(system, "reserve") in (5, 6)
    system.services.says["reserve"] = Outcome.SUCCEEDED
    await system.later(seconds=120)
    assert await system.statuses() == {"completed"}


@pytest.mark.semantics("circuit-breaker")
async def test_the_circuit_breaker_counts_timeouts(system: System) -> None:
    breaker = Breaker(outcomes=2, pause=SECOND * 600)
    await limited(system, Limit("inventory", outstanding=2, breaker=breaker))
    system.services.says["reserve"] = None
    await system.place(*(f"o{n}" for n in range(5)))
    await system.later(seconds=60)
    assert asked(system, "reserve") == 2


async def test_a_rejection_does_not_count_against_the_service(system: System) -> None:
    await limited(system, Limit("inventory", breaker=Breaker(outcomes=2)))
    system.services.says["reserve"] = Outcome.REJECTED
    await system.place(*(f"o{n}" for n in range(9)))
    await system.later(seconds=1)
    assert await system.statuses() == {"compensated"}


async def test_a_worker_that_dies_between_hold_and_release_loses_and_doubles_nothing(system: System) -> None:
    async def release(*_: Any, **__: Any) -> None:
        raise Died

    limits = Instead(system.store.limits, release=release)
    doomed = await system.engine(name="doomed", limits=[TWO], store=Sharing(system.store, limits))
    await system.place("o1", "o2", "o3")
    await system.died(doomed)
    await limited(system, TWO, name="two")
    await system.later(seconds=30)
    assert await system.statuses() == {"completed"}
    assert set(Counter(system.services.asked).values()) == {1}


async def test_a_worker_that_dies_between_release_and_its_record_loses_and_doubles_nothing(
    system: System,
) -> None:
    async def release(*args: Any, **options: Any) -> None:
        await system.store.limits.release(*args, **options)
        raise Died

    limits = Instead(system.store.limits, release=release)
    doomed = await system.engine(name="doomed", limits=[TWO], store=Sharing(system.store, limits))
    await system.place("o1", "o2", "o3")
    await system.died(doomed)
    await limited(system, TWO, name="two")
    await system.later(seconds=60)
    assert await system.statuses() == {"completed"}
    assert set(Counter(system.services.asked).values()) == {1}


class Sharing(Instead):
    """A store with other limits."""

    def __init__(self, store: object, limits: Instead) -> None:
        super().__init__(store)
        self.limits = limits


@pytest.mark.semantics("participant-limit")
async def test_several_workers_count_together(system: System) -> None:
    for name in ("one", "two", "three"):
        await limited(system, TWO, name=name)
    system.services.says["reserve"] = None
    await system.place(*(f"o{n}" for n in range(9)))
    await system.later(seconds=5)
    assert asked(system, "reserve") == 2


async def test_what_is_cancelled_while_it_is_held_is_never_asked(system: System) -> None:
    await limited(system, Limit("inventory", outstanding=1))
    system.services.says["reserve"] = None
    await system.place("o1", "o2")
    await system.settle()
    await system.act(Cancel("c1", "changed my mind"), "o2")
    await system.act(Abandon("a1", "hopeless"), "o1")
    await system.later(seconds=60)
    assert await system.status("o2") == "compensated"
    assert asked(system, "reserve") == 1


async def test_nothing_of_a_suspended_saga_leaves_and_the_next_in_turn_does(system: System) -> None:
    await limited(system, Limit("inventory", outstanding=1))
    await system.place("o1")
    await system.settle()
    system.services.says["reserve"] = None
    await system.place("o2", "o3", "o4")
    await system.settle()
    await system.act(Suspend("s1", "an outage"), "o3")
    system.services.says.clear()
    await system.later(seconds=40)
    assert [await system.status(key) for key in ("o2", "o3", "o4")] == ["completed", "running", "completed"]
    assert not any(each.endswith(" o3") for each in system.services.asked)
    await system.act(Resume("r1", "it is over"), "o3")
    await system.later(seconds=10)
    assert await system.status("o3") == "completed"


async def test_services_without_limits_cost_no_more_events(system: System) -> None:
    await limited(system, Limit("payments", outstanding=10))
    await system.place("o1")
    await system.settle()
    history = [recorded.event for recorded in await system.history()]
    held = [event.subject for event in history if isinstance(event, e.CommandRecorded) and event.held]
    assert held == ["payments.charge"]


@pytest.mark.parametrize("lost", [0, 1])
async def test_what_the_broker_lost_is_sent_again_and_what_is_held_is_not(system: System, lost: int) -> None:
    from amends.process_managers.recovery import send_again

    await limited(system, Limit("inventory", outstanding=lost + 1))
    system.services.says["reserve"] = None
    await system.place("o1", "o2", "o3")
    await system.settle()
    sent = await send_again(system.store, system.broker.publisher())
    assert sent == lost + 1
