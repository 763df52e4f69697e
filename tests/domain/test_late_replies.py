"""What an answer means that comes after the step was given up, in every status; and contradictions."""

from __future__ import annotations

import pytest

from amends.domain import events as e
from amends.domain.saga import Saga, step
from tests.domain.driver import RETRY, Charge, Placed, Play, Refund, Release, Reserve, Ship


def given_up() -> Play:
    """The charge never answered: it was given up, and is being compensated."""
    play = Play()
    play.succeed("reserve")
    play.time_out("charge")
    assert play.sent[-1] == "undo charge"
    return play


@pytest.mark.semantics("late-success")
def test_a_late_success_before_its_compensation_is_answered_is_recorded_and_harmless() -> None:
    play = given_up()
    assert [event.type for event in play.succeed("charge")] == ["command.succeeded"]
    assert play.sent[-1] == "undo charge"
    assert play.sent.count("undo charge") == 1
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


@pytest.mark.semantics("late-success")
def test_a_late_success_after_its_compensation_is_recorded_and_harmless() -> None:
    play = given_up()
    play.succeed("undo charge")
    assert [event.type for event in play.succeed("charge")] == ["command.succeeded"]
    play.succeed("undo reserve")
    assert play.status == "compensated"
    assert play.sent.count("undo charge") == 1


def test_a_late_success_in_a_compensated_saga_is_recorded_and_harmless() -> None:
    play = given_up()
    play.succeed("undo charge", "undo reserve")
    assert [event.type for event in play.succeed("charge")] == ["command.succeeded"]
    assert play.succeed("charge") == []
    assert play.status == "compensated"
    assert play.state.contradictions == 0


def test_a_late_rejection_leaves_the_compensation_that_is_out_awaited() -> None:
    play = given_up()
    assert [event.type for event in play.reject("charge")] == ["command.rejected"]
    assert play.status == "compensating"
    assert play.state.wake_up is not None
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


def test_a_late_failure_is_recorded_and_changes_nothing() -> None:
    play = given_up()
    wake_up = play.state.wake_up
    assert [event.type for event in play.fail("charge", attempt=1)] == ["command.failed"]
    assert play.state.wake_up == wake_up


class Three(Saga[Placed], name="three", version=1, key="order_id"):
    """The second has no command to undo it where there is no reply: a mistake of its author's."""

    @step(retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(retry=RETRY)
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=1)

    @charge.compensate(retry=RETRY)
    def refund(self) -> Refund | None:
        reply = self.reply(Three.charge, default=None)
        return None if reply is None else Refund(order_id=reply.payment)

    @step(pivot=True, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)


@pytest.mark.semantics("late-success")
def test_a_late_success_that_was_passed_over_is_compensated_after_all() -> None:
    play = Play(Three)
    play.succeed("reserve")
    play.time_out("charge")
    assert play.sent[-1] == "undo reserve"  # nothing was built for the charge
    play.succeed("charge")
    assert play.sent[-1] == "undo charge"
    play.succeed("undo reserve")
    assert play.status == "compensating"
    play.succeed("undo charge")
    assert play.status == "compensated"
    assert play.sent.count("undo reserve") == 1


@pytest.mark.semantics("reopened", "late-success")
def test_a_late_success_that_was_passed_over_reopens_a_compensated_saga() -> None:
    play = Play(Three)
    play.succeed("reserve")
    play.time_out("charge")
    play.succeed("undo reserve")
    assert play.status == "compensated"
    events = play.succeed("charge")
    assert [event.type for event in events] == ["command.succeeded", "saga.reopened", "command.recorded"]
    assert play.status == "compensating"
    play.succeed("undo charge")
    assert play.status == "compensated"
    assert play.sent.count("undo reserve") == 1


def test_a_step_without_a_compensation_does_not_reopen() -> None:
    class Bare(Saga[Placed], name="bare", version=1, key="order_id"):
        @step(retry=RETRY)
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

    play = Play(Bare)
    play.time_out("charge")
    assert play.status == "compensated"
    assert [event.type for event in play.succeed("charge")] == ["command.succeeded"]
    assert play.status == "compensated"


@pytest.mark.semantics("contradictions")
def test_a_contradiction_while_running_is_flagged_and_the_saga_goes_on() -> None:
    play = Play()
    play.tick()
    play.tick()
    play.succeed("reserve", attempt=1)
    (found,) = play.reject("reserve", attempt=2)
    assert isinstance(found, e.ContradictionFound)
    assert (found.step, found.recorded, found.came) == ("reserve", "succeeded", "rejected")
    assert play.reject("reserve", attempt=2) == []
    play.succeed("charge", "ship", "notify")
    assert play.status == "completed"
    assert play.state.contradictions == 1


def test_a_contradiction_in_a_completed_saga_is_flagged() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship", "notify")
    (found,) = play.reject("charge")
    assert isinstance(found, e.ContradictionFound)
    assert play.status == "completed"


@pytest.mark.semantics("contradictions")
def test_a_rejection_that_was_none_is_compensated_while_compensating() -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    events = play.succeed("charge")
    assert [event.type for event in events] == ["command.contradiction", "command.recorded"]
    assert play.sent[-1] == "undo charge"
    play.succeed("undo reserve")
    assert play.status == "compensating"
    play.succeed("undo charge")
    assert play.status == "compensated"


def test_a_rejection_that_was_none_reopens_a_compensated_saga() -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    play.succeed("undo reserve")
    events = play.succeed("charge")
    assert [event.type for event in events] == ["command.contradiction", "saga.reopened", "command.recorded"]
    play.succeed("undo charge")
    assert play.status == "compensated"
    assert play.state.wake_up is None


@pytest.mark.parametrize("first", ["succeeded", "rejected"])
def test_a_compensation_that_contradicts_itself_is_flagged(first: str) -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    said, other = (play.succeed, play.reject) if first == "succeeded" else (play.reject, play.succeed)
    said("undo reserve")
    events = other("undo reserve", attempt=1)
    assert [event.type for event in events] == ["command.contradiction"]
    if first == "rejected":
        play.tick()
        play.succeed("undo reserve")
    assert play.status == "compensated"


def test_a_contradiction_after_the_pivot_is_flagged_and_the_new_round_goes_on() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    play.reject("notify")
    (found,) = play.succeed("notify")
    assert isinstance(found, e.ContradictionFound)
    play.tick()
    play.succeed("notify")
    assert play.status == "completed"
