"""The paragraphs of "Time"."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.domain import events as e
from amends.domain.decide import UnknownSaga, decide
from amends.domain.identity import saga_id
from amends.domain.policy import Retry
from amends.domain.saga import Saga, step
from amends.domain.told import Tick
from tests.domain.driver import RETRY, SECOND, T0, Order, Placed, Play, Refund, Reserve, Ship


def test_an_attempt_times_out_when_its_time_is_over_and_not_before() -> None:
    play = Play()
    assert play.state.wake_up == T0 + SECOND * 10
    assert play.wait(SECOND * 10 - timedelta(microseconds=1)) == []
    events = play.wait(timedelta(microseconds=1))
    assert [event.type for event in events] == ["command.timed-out", "command.retry-scheduled"]


def test_a_tick_before_anything_is_due_yields_nothing() -> None:
    play = Play()
    assert play.give(Tick()) == []
    play.tick()
    assert play.give(Tick()) == []


def test_a_tick_after_the_end_yields_nothing() -> None:
    play = Play()
    play.reject("reserve")
    assert play.state.wake_up is None
    assert play.wait(timedelta(days=400)) == []


def test_a_tick_for_a_saga_that_never_started_is_refused() -> None:
    saga = saga_id("test", "order", "none")
    with pytest.raises(UnknownSaga, match=f"expected a saga {saga} to exist"):
        decide(Order.definition, saga, None, Tick(), T0, "test")


def test_without_a_delay_a_failed_attempt_is_repeated_at_once_and_only_once() -> None:
    class Eager(Saga[Placed], name="eager", version=1, key="order_id"):
        @step(retry=Retry(attempts=3, delay=SECOND * 0))
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    play = Play(Eager)
    play.fail("reserve")
    assert play.state.wake_up == play.now
    play.give(Tick())
    assert play.sent == ["reserve", "reserve"]
    assert play.give(Tick()) == []


def test_everything_due_is_applied_in_the_order_of_its_time() -> None:
    play = Play()
    play.wait(
        timedelta(days=1)
    )  # the attempt's timeout, then the deadline; the retry's delay begins only now
    assert play.told()[2:] == [
        "command.timed-out reserve forward",
        "command.retry-scheduled reserve forward",
        "saga.deadline-passed",
        "step.given-up reserve",
        "saga.compensating",
        "command.recorded reserve compensate",
    ]


def test_a_tick_applies_nothing_that_falls_due_after_its_bound() -> None:
    play = Play()
    play.now = T0 + timedelta(days=1)
    assert play.give(Tick(until=T0 + SECOND * 9)) == []
    events = play.give(Tick(until=T0 + SECOND * 10))
    assert [event.type for event in events] == ["command.timed-out", "command.retry-scheduled"]
    assert play.status == "running"


@pytest.mark.semantics("clock")
def test_time_never_goes_back() -> None:
    play = Play()
    play.now = T0 - timedelta(hours=1)
    play.succeed("reserve")
    assert [event.at for event in play.events] == [T0] * len(play.events)
    assert play.commands[-1].expires == T0 + SECOND * 10


@pytest.mark.semantics("deadline")
def test_the_deadline_before_the_pivots_command_is_out_compensates() -> None:
    play = Play()
    play.succeed("reserve")
    play.fail("charge", retry_after=4000.0)
    assert play.state.wake_up == play.state.deadline == T0 + timedelta(hours=1)
    play.tick()
    assert play.status == "compensating"
    assert play.state.reason == "the deadline passed"
    assert play.sent[-1] == "undo charge"  # it never said no
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


@pytest.mark.semantics("deadline")
def test_the_deadline_while_the_pivots_command_is_out_closes_it() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.fail("ship", retry_after=4000.0)
    play.tick()
    assert play.sent[-1] == "close ship"
    assert play.status == "running"


@pytest.mark.semantics("deadline")
def test_the_deadline_after_the_pivots_success_is_only_recorded() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    play.fail("notify", retry_after=4000.0)
    assert [event.type for event in play.tick()] == ["saga.deadline-passed"]
    assert play.state.deadline_passed
    play.tick()
    play.succeed("notify")
    assert play.status == "completed"


def test_the_deadline_no_longer_counts_once_compensation_was_decided() -> None:
    class Short(Saga[Placed], name="short", version=1, key="order_id", deadline=SECOND * 20):
        @step(retry=RETRY)
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

        @reserve.compensate(timeout=SECOND * 20, retry=RETRY)
        def release(self) -> Refund:
            return Refund(order_id=self.key)

        @step(pivot=True)
        def ship(self) -> Ship:
            return Ship(order_id=self.key)

    play = Play(Short)
    play.succeed("reserve")
    play.reject("ship")
    assert play.state.wake_up == play.state.deadline == T0 + SECOND * 20
    play.tick()  # the compensation's timeout, which falls due in the deadline's instant
    assert play.count(e.DeadlinePassed) == 0
    assert play.count(e.CompensationStarted) == 1
    assert play.count(e.CommandTimedOut) == 1


def test_a_saga_without_a_deadline_waits_for_its_attempts_alone() -> None:
    class Calm(Saga[Placed], name="calm", version=1, key="order_id"):
        @step(timeout=timedelta(days=3))
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

    assert Play(Calm).state.wake_up == T0 + timedelta(days=3)
