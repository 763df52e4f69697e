"""What an operator does to a saga: retry now, skip, settle by hand, abandon, reschedule or cancel a timer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from amends.domain import events as e
from amends.domain.decide import take_turn
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Abandon, Action, Reschedule, Retry, Settle, Skip
from amends.domain.wire import Direction, Outcome
from tests.domain.driver import SECOND, Play

WHY = "as told on the phone"


def played(*succeeded: str) -> Play:
    play = Play()
    play.succeed(*succeeded)
    return play


def act(play: Play, kind: Callable[..., Action], **fields: Any) -> list[str]:
    """Give a new request; the types of what it led to."""
    request = kind(f"request-{len(play.history)}", WHY, by="anna", **fields)
    return [event.type for event in play.give(request)]


def refused(play: Play, why: str, kind: Callable[..., Action], **fields: Any) -> None:
    before = len(play.history)
    with pytest.raises(ActionRefused, match=why):
        act(play, kind, **fields)
    assert len(play.history) == before


# Retry now


def test_a_retry_does_not_wait_for_its_delay() -> None:
    play = played()
    play.fail("reserve")
    assert act(play, Retry) == ["command.retry-requested", "command.recorded"]
    assert play.sent == ["reserve", "reserve"]
    assert len({command.key for command in play.commands}) == 1


@pytest.mark.semantics("compensation-by-hand")
def test_a_parked_compensation_is_tried_again_at_once() -> None:
    play = played("reserve")
    play.reject("charge")
    play.until(lambda: play.count(e.CommandParked) == 1)
    act(play, Retry, step="reserve")
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_a_retry_after_a_rejection_opens_the_next_round() -> None:
    play = played("reserve", "charge", "ship")
    play.reject("notify")
    act(play, Retry)
    assert [(c.round, c.attempt) for c in play.commands if c.step == "notify"] == [(1, 1), (2, 1)]


def test_a_named_step_is_asked_again_while_its_answer_is_awaited_and_both_answers_count() -> None:
    play = played()
    act(play, Retry, step="reserve")
    assert play.sent == ["reserve", "reserve"]
    play.succeed("reserve", attempt=1)
    assert play.sent[-1] == "charge"


def test_a_retry_of_a_closing_pivot_asks_the_close_again() -> None:
    play = played("reserve", "charge")
    play.cancel()
    act(play, Retry, step="ship")
    assert play.sent[-2:] == ["close ship", "close ship"]


def test_a_retry_is_refused_where_nothing_can_be_tried_again() -> None:
    play = played("reserve")
    refused(play, "nothing of order 'o1' waits to be tried again; name a step", Retry)
    refused(play, "nothing is asked for step 'reserve'", Retry, step="reserve")
    refused(play, r"expected a step of order@1 \(reserve, charge, ship, notify\), got 'x'", Retry, step="x")
    play.suspend()
    refused(play, "order 'o1' is suspended, .* resume it first", Retry, step="charge")


# Skip


def test_a_skipped_step_is_passed_and_the_saga_goes_on() -> None:
    play = played("reserve", "charge", "ship")
    assert act(play, Skip, step="notify") == ["step.skipped-by-hand", "saga.completed"]
    [event] = [event for event in play.events if isinstance(event, e.StepSkippedByHand)]
    assert (event.by, event.reason) == ("anna", WHY)


def test_a_skipped_step_with_a_command_recorded_may_have_happened_and_is_compensated() -> None:
    play = played()
    act(play, Skip, step="reserve")
    play.reject("charge")
    assert play.sent[-1] == "undo reserve"


def test_a_skipped_step_that_was_rejected_after_all_needs_no_compensation() -> None:
    play = played()
    act(play, Skip, step="reserve")
    play.reject("reserve")
    play.reject("charge")
    assert play.sent == ["reserve", "charge"]
    assert play.status == "compensated"


def test_a_step_that_was_skipped_before_it_was_asked_for_did_not_happen() -> None:
    play = played()
    play.suspend()
    play.succeed("reserve")
    act(play, Skip, step="charge")
    play.resume()
    assert play.sent == ["reserve", "ship"]
    play.reject("ship")
    assert play.sent[-1] == "undo reserve"


def test_after_a_skipped_pivot_the_saga_only_goes_forward() -> None:
    play = played("reserve", "charge")
    act(play, Skip, step="ship")
    with pytest.raises(ActionRefused, match="pivot 'ship' is done"):
        play.cancel()
    play.succeed("notify")
    assert play.status == "completed"


def test_a_skip_is_refused_where_it_is_not_the_steps_turn() -> None:
    play = played("reserve")
    refused(play, "step 'reserve' of order 'o1' is done already", Skip, step="reserve")
    refused(play, "turn of step 'ship' of order 'o1' has not come: charge comes before", Skip, step="ship")
    act(play, Skip, step="charge")
    refused(play, "step 'charge' of order 'o1' is skipped already", Skip, step="charge")
    play.cancel()
    refused(play, "the pivot 'ship' of order 'o1' is being closed", Skip, step="ship")
    play.reject("close ship")
    refused(play, "expected a running saga to skip a step of; order 'o1' is compensating", Skip, step="ship")


# Settle by hand


def settle(play: Play, step: str, outcome: Outcome, **fields: Any) -> list[str]:
    return act(play, Settle, step=step, outcome=outcome, **fields)


def test_a_step_settled_as_succeeded_is_done_and_its_reply_is_known() -> None:
    play = played("reserve")
    events = settle(play, "charge", Outcome.SUCCEEDED, reply={"payment": "p7"})
    assert events == ["step.settled-by-hand", "command.recorded"]
    assert play.state.step("charge").reply == {"payment": "p7"}
    assert play.sent[-1] == "ship"


def test_a_step_settled_as_rejected_did_not_happen_and_is_not_compensated() -> None:
    play = played("reserve")
    settle(play, "charge", Outcome.REJECTED)
    assert play.sent[-1] == "undo reserve"
    assert play.state.reason == f"charge: rejected: {WHY}"


def test_a_parked_pivot_that_cannot_be_closed_is_settled_by_a_person() -> None:
    """A foreign participant that knows no close leaves the saga parked for a person."""
    play = played("reserve", "charge")
    play.cancel()
    settle(play, "ship", Outcome.SUCCEEDED)
    assert (play.status, play.sent[-1]) == ("running", "notify")
    other = played("reserve", "charge")
    other.cancel()
    settle(other, "ship", Outcome.REJECTED)
    assert (other.status, other.sent[-1]) == ("compensating", "undo charge")


def test_a_step_settled_as_rejected_after_the_pivot_is_asked_for_in_a_new_round() -> None:
    play = played("reserve", "charge", "ship")
    assert settle(play, "notify", Outcome.REJECTED) == ["step.settled-by-hand", "command.retry-scheduled"]


def test_an_answer_that_agrees_is_no_news_and_one_that_does_not_is_a_contradiction() -> None:
    play = played("reserve")
    settle(play, "charge", Outcome.SUCCEEDED, reply={"payment": "p7"})
    assert play.succeed("charge") == []
    assert [event.type for event in play.reject("charge")] == ["command.contradiction"]


def test_a_step_settled_while_suspended_is_decided_when_it_is_resumed() -> None:
    play = played("reserve")
    play.suspend()
    assert settle(play, "charge", Outcome.REJECTED) == ["step.settled-by-hand"]
    play.resume()
    assert play.sent[-1] == "undo reserve"


def test_a_settled_reply_must_be_what_later_steps_expect() -> None:
    play = played("reserve")
    refused(
        play,
        "expected the reply of step 'charge' to go with succeeded: .*payment",
        Settle,
        step="charge",
        outcome=Outcome.SUCCEEDED,
    )


@pytest.mark.semantics("compensation-by-hand")
def test_a_compensation_settled_by_hand_counts_as_undone_and_is_listed() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    settle(play, "charge", Outcome.SUCCEEDED, direction=Direction.COMPENSATE)
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    last = play.events[-1]
    assert isinstance(last, e.SagaCompensated)
    assert last.by_hand == ("charge",)


def test_a_compensation_can_be_settled_before_it_was_asked_for() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    settle(play, "reserve", Outcome.SUCCEEDED, direction=Direction.COMPENSATE)
    play.succeed("undo charge")
    assert play.status == "compensated"
    assert "undo reserve" not in play.sent


def test_a_late_success_of_what_was_settled_as_undone_without_a_command_needs_a_person() -> None:
    """Perhaps the operator knew of it, perhaps not: no tombstone was sent, and nobody else will look."""
    play = played()
    act(play, Skip, step="reserve")
    play.cancel()
    settle(play, "reserve", Outcome.SUCCEEDED, direction=Direction.COMPENSATE)
    play.succeed("undo charge")
    assert (play.status, play.sent[-1]) == ("compensated", "undo charge")
    assert [event.type for event in play.succeed("reserve")] == ["command.succeeded", "command.contradiction"]


def test_a_late_success_of_what_was_settled_as_undone_after_a_command_is_harmless() -> None:
    play = played()
    play.cancel()
    settle(play, "reserve", Outcome.SUCCEEDED, direction=Direction.COMPENSATE)
    assert play.status == "compensated"
    assert [event.type for event in play.succeed("reserve")] == ["command.succeeded"]


def test_settling_is_refused_where_there_is_nothing_to_settle() -> None:
    play = played("reserve")
    refused(play, "'reserve' of order 'o1' is done", Settle, step="reserve", outcome=Outcome.SUCCEEDED)
    refused(play, "'notify' of order 'o1' was never asked", Settle, step="notify", outcome=Outcome.REJECTED)
    refused(play, "expected succeeded .* or rejected", Settle, step="charge", outcome=Outcome.FAILED)
    undo = {"direction": Direction.COMPENSATE, "outcome": Outcome.SUCCEEDED}
    refused(play, "expected a compensating saga .* is running", Settle, step="reserve", **undo)
    play.reject("charge")
    refused(play, "nothing is left to undo of step 'charge'", Settle, step="charge", **undo)
    refused(
        play,
        "expected a compensation to be settled as succeeded",
        Settle,
        **{**undo, "step": "reserve", "outcome": Outcome.REJECTED},
    )
    refused(
        play,
        "settle the step's compensation",
        Settle,
        step="reserve",
        outcome=Outcome.SUCCEEDED,
    )
    refused(play, "settle the step itself", Settle, **{**undo, "step": "ship", "direction": Direction.CLOSE})


# Abandon


@pytest.mark.semantics("compensation-by-hand")
def test_an_abandoned_saga_lists_every_effect_left_and_every_unresolved_key() -> None:
    play = played("reserve", "charge")
    assert act(play, Abandon) == ["saga.failed"]
    [event] = [event for event in play.events if isinstance(event, e.SagaFailed)]
    assert event.effects == ("reserve", "charge")
    assert [(key.step, key.direction) for key in event.unresolved] == [("ship", Direction.FORWARD)]
    assert event.unresolved[0].key == play.commands[-1].key
    assert (play.status, play.state.wake_up) == ("failed", None)


@pytest.mark.semantics("compensation-by-hand")
def test_an_abandoned_compensation_lists_what_is_not_undone() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    play.succeed("undo charge")
    act(play, Abandon)
    [event] = [event for event in play.events if isinstance(event, e.SagaFailed)]
    assert event.effects == ("reserve",)
    assert [(key.step, key.direction) for key in event.unresolved] == [("reserve", Direction.COMPENSATE)]


@pytest.mark.semantics("late-success-too-late")
def test_a_late_success_in_an_abandoned_saga_of_a_step_that_was_given_up_is_a_contradiction() -> None:
    play = played("reserve")
    play.time_out("charge")
    act(play, Abandon)
    assert [event.type for event in play.succeed("charge")][-1] == "command.contradiction"


def test_a_suspended_saga_can_be_abandoned_without_its_definition() -> None:
    play = played("reserve")
    play.suspend()
    turn = take_turn(None, play.id, play.state, Abandon("a", WHY, by="anna"), play.now, "w")
    assert [event.type for event in turn.events] == ["saga.failed"]
    assert not turn.state.suspended


@pytest.mark.parametrize("end", ["completed", "compensated", "failed"])
def test_what_is_over_cannot_be_abandoned(end: str) -> None:
    play = played()
    if end == "completed":
        play.succeed("reserve", "charge", "ship", "notify")
    elif end == "compensated":
        play.reject("reserve")
    else:
        act(play, Abandon)
    refused(play, f"expected an unfinished saga to abandon; order 'o1' is {end}", Abandon)


# Timers


def test_an_attempt_is_awaited_longer_or_shorter() -> None:
    play = played()
    assert act(play, Reschedule, step="reserve", due=play.now + SECOND * 60) == ["timer.rescheduled"]
    assert play.wait(SECOND * 59) == []
    assert play.wait(SECOND)[0].type == "command.timed-out"
    sooner = played()
    act(sooner, Reschedule, step="reserve", due=sooner.now + SECOND)
    assert sooner.wait(SECOND)[0].type == "command.timed-out"


def test_a_retry_delay_can_be_moved_and_the_next_delay_is_as_ever() -> None:
    play = played()
    play.fail("reserve")
    act(play, Reschedule, step="reserve", due=play.now + SECOND * 100)
    assert play.wait(SECOND * 99) == []
    play.wait(SECOND)
    assert play.sent == ["reserve", "reserve"]
    play.fail("reserve")
    assert play.state.wake_up is not None
    assert play.state.wake_up - play.now < SECOND * 10


def test_an_attempt_whose_timer_is_cancelled_is_awaited_for_ever() -> None:
    play = played("reserve", "charge", "ship")
    act(play, Reschedule, step="notify")
    assert play.state.step("notify").forward.stopped == WHY
    act(play, Reschedule)
    assert play.state.wake_up is None
    assert play.wait(timedelta(days=365)) == []
    act(play, Retry, step="notify")
    assert play.state.wake_up == play.commands[-1].expires
    play.succeed("notify")
    assert play.status == "completed"


def test_the_deadline_can_be_moved_and_cancelled() -> None:
    play = played("reserve")
    act(play, Reschedule, due=play.now + SECOND)
    assert play.wait(SECOND)[0].type == "saga.deadline-passed"
    never = played("reserve")
    act(never, Reschedule)
    never.wait(timedelta(hours=2))
    assert never.count(e.DeadlinePassed) == 0


def test_a_timer_that_does_not_run_cannot_be_moved() -> None:
    play = played("reserve")
    refused(play, "no timer of step 'reserve' of order 'o1' is running", Reschedule, step="reserve")
    play.cancel()
    refused(play, "the deadline of order 'o1' cannot be moved: it is compensating", Reschedule)
    late = played("reserve", "charge", "ship")
    late.wait(timedelta(hours=2))
    refused(late, "cannot be moved: its deadline has passed", Reschedule)


# Every action


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Retry, {"step": "charge"}),
        (Skip, {"step": "charge"}),
        (Settle, {"step": "charge", "outcome": Outcome.REJECTED}),
        (Abandon, {}),
        (Reschedule, {"step": "charge"}),
    ],
)
def test_the_same_request_again_changes_nothing(kind: Callable[..., Action], fields: dict[str, Any]) -> None:
    play = played("reserve")
    request = kind("r", WHY, by="anna", **fields)
    first = play.give(request)
    assert {(event.by, event.cause) for event in first} == {("anna", "r")}
    assert play.give(request) == []
