"""Timers of every kind outlive the worker that set them, and come at their moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from amends import Action, Event, ProcessManager, Retry, Saga, on_timeout, starts, step, timeout, wait_for
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.wire import CAUSATION_ID, CE_ID, OUTCOME, SAGA_ID
from amends.testing.stepper import Stepper
from tests.domain.driver import Placed, Reserve
from tests.domain.fulfilment import FulfilmentState

HOUR = timedelta(hours=1)
SOON = timedelta(milliseconds=100)


class Attempt(Saga[Placed], name="timed", version=1, key="order_id"):
    @step(timeout=HOUR)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


class Delay(Saga[Placed], name="timed", version=1, key="order_id"):
    @step(timeout=HOUR * 9, retry=Retry(attempts=3, delay=HOUR, cap=HOUR))
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


class Deadline(Saga[Placed], name="timed", version=1, key="order_id", deadline=HOUR):
    @step(timeout=HOUR * 9)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


class Answered(Event, subject="hosts.answered"):
    order_id: str


class Wait(Saga[Placed], name="timed", version=1, key="order_id"):
    answer = wait_for(Answered, timeout=HOUR, key="order_id")


class Handlers(ProcessManager[FulfilmentState], name="timed", version=1):
    @starts(Placed, key="order_id")
    def placed(self, event: Placed) -> Iterator[Action]:
        yield timeout("patience", after=HOUR)

    @on_timeout("patience")
    def gave_up(self) -> Iterator[Action]:
        yield from ()


KINDS: dict[str, tuple[AnyDefinition, str]] = {
    "timeout of an attempt": (Attempt.definition, "command.timed-out"),
    "delay of a retry": (Delay.definition, "command.recorded"),
    "deadline": (Deadline.definition, "saga.deadline-passed"),
    "timeout of a wait": (Wait.definition, "wait.timed-out"),
    "timeout of a handler": (Handlers.definition, "timeout.fired"),
}


@pytest.fixture
def stepper() -> Iterator[Stepper]:
    made = Stepper()
    yield made
    made.close()


@pytest.mark.semantics("timers")
@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_at_its_moment_though_its_worker_died(kind: str, stepper: Stepper) -> None:
    definition, happens = KINDS[kind]
    saga = stepper.id("timed", "o1")
    stepper.worker("one", [definition])
    stepper.publish(Placed.subject, "start-1", b'{"order_id": "o1"}')
    stepper.settle()
    if definition is Delay.definition:
        _fail(stepper)
    due = _wake_up(stepper)
    before = [recorded.event.type for recorded in stepper.history(saga)]
    stepper.kill("one")
    stepper.advance((due - stepper.clock.now()) / 2)
    stepper.worker("two", [definition])
    stepper.advance(due - stepper.clock.now() - timedelta(milliseconds=1))
    assert [recorded.event.type for recorded in stepper.history(saga)] == before
    stepper.advance(timedelta(milliseconds=1) + SOON)
    event = stepper.history(saga)[len(before)].event
    assert (event.type, event.cause, event.by) == (happens, "timer", "two")
    assert due <= event.at <= due + SOON


def _wake_up(stepper: Stepper) -> datetime:
    [row] = stepper.complete(stepper.store.saga_rows(saga="timed", key="o1"))
    assert row.wake_up is not None
    return row.wake_up


def _fail(stepper: Stepper) -> None:
    [command] = stepper.published("commands")
    headers = {
        CAUSATION_ID: command.headers[CE_ID],
        OUTCOME: "failed",
        SAGA_ID: command.headers[SAGA_ID],
    }
    stepper.publish("inventory.reserve.failed", "answer-1", b"{}", headers)
    stepper.settle()
