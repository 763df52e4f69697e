"""Where the trace context of an event and of a message comes from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amends.domain.wire import CAUSATION_ID, CE_ID, OUTCOME, SAGA_ID, TRACEPARENT
from amends.testing.stepper import Stepper
from tests.domain.driver import SECOND, Order, Placed

STARTED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ANSWERED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def stepper() -> Iterator[Stepper]:
    made = Stepper()
    yield made
    made.close()


def start(stepper: Stepper, trace: str) -> None:
    stepper.worker("one", [Order.definition])
    stepper.publish(Placed.subject, "start-1", b'{"order_id": "o1"}', {TRACEPARENT: trace})
    stepper.settle()


def traces(stepper: Stepper) -> list[tuple[str, str]]:
    return [(each.event.type, each.event.trace) for each in stepper.history(stepper.id("order", "o1"))]


@pytest.mark.semantics("trace")
def test_it_reaches_the_events_and_the_commands_that_a_message_causes(stepper: Stepper) -> None:
    start(stepper, STARTED)
    assert traces(stepper) == [("saga.started", STARTED), ("command.recorded", STARTED)]
    [command] = stepper.published("commands")
    headers = {
        SAGA_ID: command.headers[SAGA_ID],
        CAUSATION_ID: command.headers[CE_ID],
        OUTCOME: "succeeded",
        TRACEPARENT: ANSWERED,
    }
    stepper.publish("inventory.reserved", "answer-1", b'{"reservation": "r1"}', headers)
    stepper.settle()
    assert traces(stepper)[2:] == [("command.succeeded", ANSWERED), ("command.recorded", ANSWERED)]
    told = [*stepper.published("commands"), *stepper.published("sagas")]
    assert len(told) == 3
    assert {message.headers[TRACEPARENT] for message in told} == {STARTED}


@pytest.mark.semantics("trace")
def test_what_a_timer_causes_belongs_to_the_trace_of_the_start(stepper: Stepper) -> None:
    start(stepper, STARTED)
    stepper.advance(SECOND * 20)
    assert traces(stepper)[2:] == [
        ("command.timed-out", STARTED),
        ("command.retry-scheduled", STARTED),
        ("command.recorded", STARTED),
    ]
    assert {command.headers[TRACEPARENT] for command in stepper.published("commands")} == {STARTED}


@pytest.mark.semantics("trace")
def test_what_is_none_is_not_passed_on(stepper: Stepper) -> None:
    start(stepper, "no trace context")
    assert {trace for _, trace in traces(stepper)} == {""}
    assert TRACEPARENT not in stepper.published("commands")[0].headers
