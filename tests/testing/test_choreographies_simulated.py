"""Choreographies with everything that can go wrong: services that react to each other, and an observer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from amends.domain.wire import Outcome
from amends.examples.travel_choreographed import TravelChoreographed
from amends.participant import promises
from amends.participant.memory import Answer
from amends.testing.invariants import Deed
from amends.testing.services import ServiceDatabase
from amends.testing.simulation.campaign import Totals, campaign
from amends.testing.simulation.chains import ChainWatch
from amends.testing.simulation.faults import EVERY, Fault
from amends.testing.simulation.reacting import Effect, reacting_services
from amends.testing.simulation.scenarios import reacting, scenarios
from amends.testing.simulation.system import Plan, simulate
from amends.testing.virtual_time import VirtualClock, VirtualLoop

BOTH = ("order-choreographed", "travel-choreographed")


@pytest.mark.semantics("choreography", "choreography-promises", "choreography-observer")
@pytest.mark.semantics("choreography-flag", "choreography-republish", "choreography-compensate")
@pytest.mark.semantics("choreography-straggler")
def test_no_invariant_is_broken_whatever_goes_wrong() -> None:
    totals: list[Totals] = []
    broken = campaign(Plan(seed=1, sagas=12, minutes=3, scenarios=BOTH), 240, totals.append)
    assert broken is None or broken.broken == []
    assert totals[-1].statuses["completed"] > 50
    assert totals[-1].statuses["compensated"] > 20
    assert totals[-1].happened.keys() >= EVERY - {Fault.DEFECT}  # an observer calls nothing of a definition
    assert totals[-1].recorded.keys() >= {"wait.parked", "event.published", "event.passed-over"}


def test_the_choreographies_of_the_examples_are_simulated_with_their_own_services() -> None:
    assert set(BOTH) <= set(scenarios("amends.examples"))
    services = [each.name for each in reacting(TravelChoreographed.definition, "amends.examples")]
    assert sorted(services) == ["airline", "bookings", "inn", "rental"]


def test_a_choreography_whose_services_are_elsewhere_is_not_played() -> None:
    assert scenarios("tests.domain.chains") == ["random"]


def test_without_faults_every_chain_comes_to_its_end() -> None:
    result = simulate(Plan(seed=2, sagas=6, scenarios=BOTH, faults=frozenset()))
    assert (result.broken, result.statuses) == ([], {"completed": 6})


def test_a_chain_that_nobody_undoes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every compensation believes that there was nothing to undo."""
    monkeypatch.setattr(promises, "_compensate", lambda key: Answer(Outcome.SUCCEEDED, b"{}"))
    found = campaign(Plan(seed=1, sagas=8, minutes=2, scenarios=BOTH, faults={Fault.SERVICE}), 200)
    assert found is not None
    assert {each.partition(":")[0] for each in found.broken} <= {"4", "7", "10", "11"}


@pytest.fixture
def watched() -> tuple[list[str], Callable[..., None]]:
    """What a watch of the trip finds broken, and how a service tells it what it did."""
    broken: list[str] = []
    definitions = [TravelChoreographed.definition]
    clock = VirtualClock(VirtualLoop())
    services = reacting_services(definitions, "amends.examples", lambda: ServiceDatabase(clock))
    watch = ChainWatch("sim", broken)
    watch.watch(definitions, services)
    databases = {each.name: each.database for each in services}

    def commit(service: str, *effects: Effect) -> None:
        databases[service].committed([], effects)

    return broken, commit


FLIGHT, ROOM = "bookings.started/k1", "airline.booked/k1"


def test_an_effect_is_taken_once(watched: Any) -> None:
    broken, commit = watched
    commit("airline", Effect(FLIGHT, Deed.DONE))
    assert broken == []
    commit("airline", Effect(FLIGHT, Deed.DONE))
    assert broken == ["1: airline: bookings.started/k1 took effect 2 times and was undone 0 times"]


def test_a_hotel_is_undone_before_its_flight(watched: Any) -> None:
    broken, commit = watched
    commit("airline", Effect(FLIGHT, Deed.DONE))
    commit("inn", Effect(ROOM, Deed.DONE))
    commit("airline", Effect(FLIGHT, Deed.UNDONE))
    assert broken == ["7: airline: undid bookings.started/k1 before inn undid its part"]


def test_what_comes_in_the_right_order_is_not_broken(watched: Any) -> None:
    broken, commit = watched
    commit("airline", Effect(FLIGHT, Deed.DONE))
    commit("inn", Effect(ROOM, Deed.DONE), Effect(ROOM, Deed.UNDONE))
    commit("airline", Effect(FLIGHT, Deed.UNDONE))
    assert broken == []
