"""The simulator: sagas of several types with everything that can go wrong, and every invariant watched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from amends.infrastructure.chance import Dice
from amends.testing.simulation import campaign as campaigns
from amends.testing.simulation.campaign import Totals, campaign, command, shrink
from amends.testing.simulation.faults import EVERY, Fault, Trouble
from amends.testing.simulation.made_up import made_up
from amends.testing.simulation.scenarios import UnknownScenario, scenarios
from amends.testing.simulation.system import Plan, Result, simulate

SCENARIOS = scenarios("amends.examples")
BY_PEOPLE = {
    "saga.cancel-requested",
    "saga.suspended",
    "saga.resumed",
    "saga.released",
    "saga.failed",
    "timer.rescheduled",
    "timer.cancelled",
    "command.retry-requested",
    "step.skipped-by-hand",
    "step.settled-by-hand",
}
TRACE = (
    "from amends.testing.simulation.system import *; print(simulate(Plan(seed=5, sagas=5, minutes=1)).trace)"
)


@pytest.mark.semantics("invariant-1", "invariant-2", "invariant-3", "invariant-4", "invariant-5")
@pytest.mark.semantics("invariant-6", "invariant-7", "invariant-8", "invariant-9", "invariant-10")
@pytest.mark.semantics("invariant-11", "invariant-12", "invariant-13", "invariant-14", "invariant-15")
def test_no_invariant_is_broken_whatever_goes_wrong() -> None:
    totals = Totals()

    def seen(so_far: Totals) -> None:
        nonlocal totals
        totals = so_far

    broken = campaign(Plan(seed=1, sagas=25, minutes=3), 200, seen)
    assert broken is None or broken.broken == []
    assert totals.sagas >= 200
    assert len(totals.happened.keys() & set(Fault)) >= 6  # a seed may do without one of the rare ones
    assert totals.statuses["completed"] > 20
    assert totals.statuses["compensated"] > 10


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_settles(scenario: str) -> None:
    result = simulate(Plan(seed=3, sagas=4, minutes=1, scenarios=(scenario,)))
    assert result.broken == []
    assert result.sagas >= 4


def test_the_examples_are_simulated() -> None:
    assert "order" in SCENARIOS
    assert SCENARIOS[-1] == "random"


def test_a_scenario_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownScenario, match=r"expected a scenario out of .*order.*; got 'odrer'"):
        simulate(Plan(seed=1, scenarios=("odrer",)))


def test_the_same_seed_leads_to_the_same_trace_and_another_one_to_another() -> None:
    plans = [Plan(seed, sagas=5, minutes=1) for seed in range(6)]
    first = [simulate(plan) for plan in plans]
    # What a service broke of is recorded, and must be the same too.
    happened = {fault for result in first for fault in result.happened}
    assert Fault.SERVICE in happened
    assert [simulate(plan) for plan in plans] == first
    assert len({result.trace for result in first}) == len(first)


def test_the_same_seed_leads_to_the_same_trace_in_every_process() -> None:
    """The order of a set of strings differs from process to process; nothing may depend on it."""
    traces = {
        subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(traces) == 1


def test_without_faults_every_saga_goes_its_way() -> None:
    result = simulate(Plan(seed=11, sagas=10, scenarios=("order",), faults=frozenset()))
    assert result.broken == []
    assert result.happened == {}
    assert set(result.statuses) <= {"completed", "compensated"}  # a transfer is never answered


def test_made_up_sagas_have_foreign_services_declared_rounds_and_versions_side_by_side() -> None:
    drawn = [made_up(Dice(seed), "random0") for seed in range(60)]
    steps = [step for versions in drawn for step in versions[0].steps]
    assert any(step.forward.foreign and step.compensation for step in steps)
    assert any(step.forward.foreign and step.pivot for step in steps)
    assert any(step.forward.ask_again for step in steps)
    assert any(step.wait for step in steps)
    assert {versions[-1].version for versions in drawn} == {1, 2}


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """People do something all the time, services are slow, and definitions have bugs."""
    rates = dict.fromkeys(Fault, 0.0)
    rates |= {Fault.PEOPLE: 0.6, Fault.DELAY: 0.3, Fault.SERVICE: 0.2, Fault.DEFECT: 0.05}
    monkeypatch.setattr(Trouble, "drawn", lambda *_: Trouble(rates))


def recorded(sagas: int, **plan: Any) -> Counter[str]:
    """How many events of each type were recorded in so many sagas, of which none broke an invariant."""
    totals: list[Totals] = []
    broken = campaign(Plan(seed=1, sagas=10, minutes=2, **plan), sagas, totals.append)
    assert broken is None or broken.broken == []
    return totals[-1].recorded


@pytest.mark.usefixtures("busy")
def test_people_do_all_that_they_can_to_sagas_of_steps() -> None:
    assert BY_PEOPLE | {"saga.migrated"} <= recorded(300, scenarios=("random",)).keys()


@pytest.mark.usefixtures("busy")
def test_people_do_the_same_to_sagas_of_handlers() -> None:
    seen = recorded(200, scenarios=("fulfilment",), package="tests.domain.fulfilment")
    assert seen.keys() >= BY_PEOPLE


def test_a_foreign_service_that_does_it_again_after_its_compensation_is_compensated_again() -> None:
    seen = recorded(150, scenarios=("random",))
    assert seen["event.taken-for-answer"] > 0
    assert seen["step.compensation-reopened"] > 0


def breaking(needs: Fault, sagas: int, tried: list[Plan]) -> object:
    """Stands in for `simulate`: breaks where this fault and so many sagas are there, with an even seed."""

    def pretend(plan: Plan) -> Result:
        tried.append(plan)
        breaks = needs in plan.faults and plan.sagas >= sagas and plan.seed % 2 == 0
        return Result(plan, ["11: it was acknowledged, and is nowhere"] if breaks else [], sagas=plan.sagas)

    return pretend


def test_a_broken_simulation_is_shrunk_to_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Plan] = []
    monkeypatch.setattr(campaigns, "simulate", breaking(Fault.CRASH, 3, tried))
    found = campaign(Plan(seed=7, sagas=40), None)
    assert found is not None
    assert [plan.seed for plan in tried] == [7, 8]
    smallest = shrink(found).plan
    assert (smallest.sagas, smallest.faults) == (3, {Fault.CRASH})
    assert command(smallest) == (
        f"amends simulate --seed {smallest.seed} --sagas 3 --at-once 3 --minutes {smallest.minutes:g} --fault crash"
    )


def test_the_command_that_plays_a_plan_again() -> None:
    assert command(Plan(4, 2, 1.5)) == "amends simulate --seed 4 --sagas 2 --at-once 2 --minutes 1.5"
    quiet = Plan(4, 2, 1.5, scenarios=("order",), faults=frozenset())
    assert command(quiet).endswith("--minutes 1.5 --scenario order --fault none")


def test_a_kind_of_fault_that_is_switched_off_does_not_happen() -> None:
    for fault in Fault:
        results: Sequence[Result] = [
            simulate(Plan(seed, 3, 0.5, faults=EVERY - {fault})) for seed in range(2)
        ]
        happened = sum((Counter(result.happened) for result in results), Counter[str]())
        assert fault not in happened
        assert [result.broken for result in results] == [[]] * 2
