"""The light fold of the projection says of any history what the domain's own fold says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.definition import Definition
from amends.domain.errors import ActionRefused
from amends.domain.events import EVENT_TYPES
from amends.domain.handlers.errors import BadAction
from amends.domain.history import Recorded
from amends.domain.inputs import Cancel, Resume, Retry, Skip, Suspend
from amends.domain.messages import Event
from amends.domain.state import SagaState, Status
from amends.projections.projection import Change, Logged, logged
from amends.projections.sagas import Sagas
from amends.projections.sagas.fold import _EVOLVE
from amends.projections.sagas.standing import REASONS
from tests.domain.chains import (
    MINUTE,
    CarBooked,
    CarRefused,
    FlightBooked,
    FlightCancelled,
    HotelBooked,
    HotelCancelled,
    HotelRefused,
    Play,
)
from tests.domain.fulfilment import Fulfilment, Ordered
from tests.domain.manager_play import Told
from tests.domain.random_actions import ACTIONS
from tests.domain.random_sagas import definitions
from tests.domain.test_any_sequence import Act, Network, acts
from tests.domain.test_handlers_any_sequence import ACTS
from tests.domain.test_handlers_any_sequence import Act as TellingAct
from tests.projections.histories import completed


def read(history: Sequence[Recorded]) -> list[Logged]:
    return [
        logged(place, str(each.originator_id), each.originator_version, each.topic, each.stored)
        for place, each in enumerate(history, start=1)
    ]


def row_of(changes: Sequence[Change]) -> dict[str, Any]:
    [change] = changes
    return {name: values[0] for name, values in change.columns.items()}


def names(joined: str) -> list[str]:
    return joined.split("\x1f") if joined else []


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def timers(state: SagaState) -> Iterator[datetime]:
    for _, _, line in state.active():
        if line.due:
            yield line.due
    for _, wait in state.waits():
        if wait.due:
            yield wait.due
    if state.status is Status.RUNNING and not state.handlers.completing:
        yield from state.handlers.timeouts.values()


def facts(state: SagaState) -> dict[str, Any]:
    """What the row must say, by the domain."""
    active = list(state.active())
    return {
        "status": str(state.status),
        "deadline": state.deadline,
        "reason": state.reason,
        "suspended": state.suspended,
        "cancelled": state.cancelled,
        "contradictions": state.contradictions,
        "attempts": sum(
            line.sent for s in state.steps.values() for line in (s.forward, s.compensation, s.close)
        ),
        "done": {step.name for step in state.steps.values() if step.done},
        "undone": {s.name for s in state.steps.values() if s.compensation.succeeded or s.by_hand},
        "to undo": {
            s.name for s in state.steps.values() if state.status is Status.COMPENSATING and not s.settled
        },
        "current": {step.name for step, _, _ in active} | {step.name for step, _ in state.waits()},
        "parked": {step.name for step, _, line in active if line.parked},
        "errors": {line.error for _, _, line in active if line.error},
        "awaited": {(step.name, str(d)) for step, d, line in active if line.in_flight},
        "held": {(step.name, str(d)) for step, d, line in active if line.held},
        "timers": sorted(timers(state)),
        "next due": state.wake_up,
        "stuck": not state.status.final,
    }


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The same facts, by the row."""
    waits = json.loads(row["waits"])
    lines = [each for each in waits if each["for"] in ("reply", "retry", "decision", "limits")]
    return {
        "status": row["statuses"],
        "deadline": moment(row["deadlines"]),
        "reason": row["reasons"],
        "suspended": row["suspended"],
        "cancelled": row["cancelled"],
        "contradictions": row["contradictions"],
        "attempts": row["attempts"],
        "done": set(names(row["done_steps"])),
        "undone": set(names(row["undone_steps"])),
        "to undo": set(names(row["left_to_undo"])),
        "current": set(names(row["current_steps"])),
        "parked": {each["step"] for each in lines if "parked" in each},
        "errors": {each["error"] for each in lines if "error" in each},
        "awaited": {(each["step"], each["direction"]) for each in lines if each["for"] == "reply"},
        "held": {(each["step"], each["direction"]) for each in lines if each["for"] == "limits"},
        "timers": sorted(moment(each["due"]) for each in waits if "due" in each),
        "next due": moment(row["next_due"]),
        "stuck": row["stuck"] in REASONS,
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definition=definitions(), sequence=acts(*ACTIONS, *["admit"] * 8), limited=st.booleans())
def test_any_history_shows_what_the_domain_says(
    definition: Definition, sequence: list[Act], limited: bool
) -> None:
    network = Network(definition, limited=limited)
    for act in sequence:
        network.act(act)
    row = row_of(Sagas().fold({}, read(network.history)))
    assert shown(row) == facts(network.state)
    assert row["versions"] == len(network.history)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definition=definitions(), sequence=acts(*ACTIONS))
def test_one_by_one_is_the_same_as_at_once(definition: Definition, sequence: list[Act]) -> None:
    network = Network(definition)
    for act in sequence:
        network.act(act)
    events = read(network.history)
    states: dict[str, str] = {}
    one_by_one: Sequence[Change] = ()
    for event in events:
        one_by_one = Sagas().fold(states, [event])
        states = {str(network.id): row_of(one_by_one)["states"]}
    assert one_by_one == Sagas().fold({}, events)
    assert Sagas().fold(states, events) == one_by_one, "events that were taken in already change nothing"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequence=st.lists(ACTS, max_size=25))
@pytest.mark.semantics("two-styles")
def test_a_process_manager_of_handlers_shows_what_the_domain_says(sequence: list[TellingAct]) -> None:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    for number, act in enumerate(sequence):
        with suppress(ActionRefused, BadAction):
            act(told, number)
    assert shown(row_of(Sagas().fold({}, read(told.history)))) == facts(told.state)


def hearing(event: type[Event]) -> Callable[[Play], object]:
    return lambda play: play.hear(event)


CHAIN_ACTS: Final[list[Callable[[Play], object]]] = [
    *(hearing(event) for event in (FlightBooked, HotelBooked, CarBooked)),
    *(hearing(event) for event in (CarRefused, HotelRefused, HotelCancelled, FlightCancelled)),
    lambda play: play.pass_(MINUTE),
    lambda play: play.tell(Cancel(f"c{len(play.events)}", "no")),
    lambda play: play.tell(Retry(f"r{len(play.events)}", "again")),
    lambda play: play.tell(Skip(f"s{len(play.events)}", "no matter", step="hotel")),
    lambda play: play.tell(Suspend(f"p{len(play.events)}", "wait")),
    lambda play: play.tell(Resume(f"q{len(play.events)}", "go on")),
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequence=st.lists(st.sampled_from(CHAIN_ACTS), max_size=20))
@pytest.mark.semantics("choreography-history")
def test_an_observed_choreography_shows_what_the_domain_says(
    sequence: list[Callable[[Play], object]],
) -> None:
    play = Play()
    for act in sequence:
        with suppress(ActionRefused):
            act(play)
    history = SagaAggregate(play.known.id).append(play.events)
    row = row_of(Sagas().fold({}, read(history)))
    assert shown(row) == facts(play.known)
    assert (row["stuck"] == "parked step") == (bool(play.parked()) and not play.known.suspended)


def test_a_migrated_saga_goes_by_its_new_names() -> None:
    scribe = completed("o1")
    moved = {"definition": 2, "steps": {"charge": "pay"}, "reason": "new names"}
    scribe.events = scribe.events[:4]
    scribe.write(e.SagaMigrated, **moved).done("ship")
    aggregate = SagaAggregate(scribe.id)
    history = aggregate.append(scribe.events)
    row = row_of(Sagas().fold({}, read(history)))
    assert aggregate.state is not None
    assert shown(row) == facts(aggregate.state)
    assert (row["definitions"], names(row["done_steps"])) == (2, ["pay", "ship"])


WITHOUT_A_TRACE: Final = {
    "saga.start-refused", "saga.released", "event.received", "event.handled", "event.passed-over", "event.published",
    "event.taken-for-answer", "key.learnt", "key.clashed", "send.requested", "wait.rejected",
}  # fmt: skip
"""Events from which nothing follows for where a saga stands; the audit trail has them."""


def test_every_event_type_is_folded_or_known_to_leave_no_trace() -> None:
    assert set(EVENT_TYPES) - set(_EVOLVE) == WITHOUT_A_TRACE
