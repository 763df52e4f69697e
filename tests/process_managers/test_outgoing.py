"""What leaves a worker: messages that any participant can read, and that are refused where they cannot travel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amends.domain import wire
from amends.domain.aggregate import SagaAggregate
from amends.infrastructure.broker import Unsendable
from amends.infrastructure.encoding import encode
from amends.infrastructure.headers import Headers
from amends.infrastructure.nats.protocol import header_fields
from amends.infrastructure.ports import Outgoing
from amends.process_managers import outgoing
from amends.testing.stepper import Stepper
from tests.domain.driver import Order, Placed

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def stepper() -> Iterator[Stepper]:
    made = Stepper()
    yield made
    made.close()


def command(stepper: Stepper, key: str = "o1", step: str = "reserve", suffix: str = "") -> Outgoing:
    """The first command of a new saga, as that of a step of this name."""
    stepper.worker("one", [Order.definition])
    stepper.publish(Placed.subject, "start-1", f'{{"order_id": "{key}"}}'.encode(), {wire.TRACEPARENT: TRACE})
    stepper.settle()
    saga = SagaAggregate(stepper.id("order", key))
    saga.load(stepper.history(saga.id))
    assert saga.state is not None
    [(_, direction, line)] = saga.state.active()
    attempt = line.in_flight
    assert attempt is not None
    return outgoing.command(saga.state, step, direction, line.rounds[-1], attempt, suffix)


def test_a_command_has_every_header_that_the_protocol_asks_for(stepper: Stepper) -> None:
    message = command(stepper, key="ö 1", suffix="@2")
    assert isinstance(message.headers, Headers)
    [sent] = encode([message])
    found = header_fields(sent.headers)
    saga_id = str(stepper.id("order", "ö 1"))
    times = {name: found.pop(name) for name in (wire.CE_TIME, wire.KEY_OPENED, wire.EXPIRES)}
    assert len(found.pop(wire.IDEMPOTENCY_KEY)) == len(saga_id)
    assert found == {
        wire.CE_SPECVERSION: "1.0",
        wire.CE_ID: message.message_id,
        wire.CE_SOURCE: f"/amends/{stepper.namespace}/order",
        wire.CE_TYPE: "inventory.reserve",
        wire.CE_SUBJECT: saga_id,
        wire.SAGA_ID: saga_id,
        wire.SAGA: "order@1",
        wire.KEY: "%C3%B6%201",
        wire.TRACEPARENT: TRACE,
        wire.STEP: "reserve",
        wire.DIRECTION: "forward",
        wire.ROUND: "1",
        wire.ATTEMPT: "1",
        wire.NATS_MSG_ID: f"{message.message_id}@2",
    }
    assert all(each.endswith("Z") for each in times.values())


@pytest.mark.parametrize("step", ["größe", "100%"])
def test_the_name_of_a_step_arrives_as_it_is(stepper: Stepper, step: str) -> None:
    [sent] = encode([command(stepper, step=step)])
    assert header_fields(sent.headers)[wire.STEP] == step


@pytest.mark.parametrize("step", ["a\r\nAmends-Outcome: b", " a", "a\t"])
def test_a_step_whose_name_would_not_arrive_is_refused(stepper: Stepper, step: str) -> None:
    with pytest.raises(Unsendable, match=wire.STEP):
        encode([command(stepper, step=step)])
