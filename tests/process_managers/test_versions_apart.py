"""Versions of one type in different workers, while one replaces the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import BaseModel

from amends import Action, Event, ProcessManager, on, on_timeout, starts, timeout
from amends.domain import events as e
from amends.testing.stepper import Stepper

SECOND = timedelta(seconds=1)


class Booked(Event, subject="shipments.booked"):
    shipment: str


class Weighed(Event, subject="shipments.weighed"):
    shipment: str


class Seen(BaseModel):
    events: list[str] = []


class Shipment(ProcessManager[Seen], name="shipment", version=1):
    @starts(Booked, key="shipment")
    def booked(self, event: Booked) -> Iterator[Action]:
        yield timeout("late", after=SECOND * 30)

    @on_timeout("late")
    def is_late(self) -> None:
        self.state.events.append("late")


class Weighing(Shipment, name="shipment", version=2):
    """It listens to one event more."""

    @on(Weighed, key="shipment")
    def weighed(self, event: Weighed) -> None:
        self.state.events.append("weighed")


@pytest.fixture
def stepper() -> Iterator[Stepper]:
    made = Stepper()
    yield made
    made.close()


@pytest.mark.semantics("versions")
@pytest.mark.parametrize("first", [Shipment, Weighing])
def test_an_event_that_only_a_newer_version_listens_to_does_not_go_to_and_fro(
    stepper: Stepper, first: type[ProcessManager[Seen]]
) -> None:
    """It is for a saga of the older one, in another worker: that one passes over it, and its timers are not held up."""
    stepper.worker("old", [Shipment.definition])
    stepper.publish(Booked.subject, "b", b'{"shipment": "s1"}')
    stepper.settle()
    if first is Weighing:
        stepper.stop("old")
        stepper.settle()
    stepper.worker("new", [Weighing.definition])
    stepper.publish(Weighed.subject, "w", b'{"shipment": "s1"}')
    stepper.settle()
    if first is Weighing:
        stepper.worker("old-again", [Shipment.definition])
    for _ in range(31):
        stepper.advance(SECOND)
    history = [recorded.event for recorded in stepper.history(stepper.id("shipment", "s1"))]
    assert [event.type for event in history[-2:]] == ["event.passed-over", "timeout.fired"]
    [fired] = [event for event in history if isinstance(event, e.TimeoutFired)]
    assert fired.at - history[0].at < SECOND * 31
    versions = [("shipment", 1), ("shipment", 2)]
    assert not stepper.complete(stepper.store.take_held(versions, 10))
    assert not stepper.store.dead
