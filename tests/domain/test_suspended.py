"""`suspended` is a flag: replies are recorded, nothing new is sent, timers stay due and unapplied."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from amends.domain import events as e
from amends.domain.decide import take_turn
from amends.domain.errors import ActionRefused, VersionNotHeld
from amends.domain.inputs import Resume, Suspend
from amends.domain.wire import FORGOTTEN
from tests.domain.driver import SECOND, Play


def types(events: Sequence[e.SagaEvent]) -> list[str]:
    return [event.type for event in events]


def suspended(*succeeded: str) -> Play:
    play = Play()
    play.succeed(*succeeded)
    play.suspend()
    return play


@pytest.mark.semantics("event-fields")
def test_it_is_recorded_who_suspended_it_and_why() -> None:
    play = Play()
    [event] = play.suspend(reason="an outage")
    assert isinstance(event, e.SagaSuspended)
    assert (event.by, event.reason, event.cause) == ("ops", "an outage", "suspend-1")
    assert (play.status, play.state.suspended) == ("running", "an outage")


@pytest.mark.semantics("suspended")
def test_replies_are_recorded_and_nothing_new_is_sent_until_it_is_resumed() -> None:
    play = suspended("reserve")
    assert types(play.succeed("charge")) == ["command.succeeded"]
    assert play.sent == ["reserve", "charge"]
    assert types(play.resume()) == ["saga.resumed", "command.recorded"]
    assert play.sent[-1] == "ship"


@pytest.mark.semantics("suspended")
def test_timers_stay_due_and_unapplied_until_it_is_resumed() -> None:
    play = suspended()
    assert play.wait(SECOND * 60) == []
    play.resume()
    assert play.commands[-1].expires == play.state.wake_up
    assert types(play.wait(SECOND * 0))[0] == "command.timed-out"


def test_a_deadline_that_passed_meanwhile_is_applied_after_it_is_resumed() -> None:
    play = suspended()
    play.wait(SECOND * 4000)
    assert play.count(e.DeadlinePassed) == 0
    play.resume()
    play.tick()
    assert (play.count(e.DeadlinePassed), play.status) == (1, "compensating")


@pytest.mark.semantics("suspended")
def test_a_rejection_that_came_meanwhile_is_decided_when_it_is_resumed() -> None:
    play = suspended("reserve")
    assert types(play.reject("charge")) == ["command.rejected"]
    assert play.status == "running"
    play.resume()
    assert (play.state.reason, play.sent[-1]) == ("charge: rejected: no", "undo reserve")


def test_a_failure_that_came_meanwhile_is_decided_when_it_is_resumed() -> None:
    play = suspended()
    assert types(play.fail("reserve")) == ["command.failed"]
    assert types(play.resume()) == ["saga.resumed", "command.retry-scheduled"]
    play.tick()
    assert play.sent == ["reserve", "reserve"]


@pytest.mark.semantics("retries")
@pytest.mark.parametrize("answer", ["fail", "reject"])
def test_the_time_that_a_service_asked_for_meanwhile_is_kept_when_it_is_resumed(answer: str) -> None:
    play = suspended("reserve", "charge", "ship")
    getattr(play, answer)("notify", retry_after=500.0)
    asked = play.now
    play.now += SECOND * 100
    play.resume()
    assert play.state.wake_up == asked + SECOND * 500


@pytest.mark.semantics("retries")
def test_the_time_that_a_service_asked_for_may_be_over_when_it_is_resumed() -> None:
    play = suspended()
    play.fail("reserve", retry_after=500.0)
    play.now += SECOND * 600
    play.resume()
    assert play.state.wake_up is not None
    assert play.state.wake_up - play.now <= SECOND * 2


def test_a_forgotten_key_is_parked_when_it_is_resumed() -> None:
    play = suspended("reserve", "charge", "ship")
    play.fail("notify", code=FORGOTTEN)
    assert types(play.resume()) == ["saga.resumed", "command.retry-scheduled", "command.parked"]


def test_a_rejection_after_the_pivot_is_asked_again_in_a_new_round_after_it_is_resumed() -> None:
    play = suspended("reserve", "charge", "ship")
    play.reject("notify")
    assert types(play.resume()) == ["saga.resumed", "command.retry-scheduled"]
    play.tick()
    assert [(c.round, c.attempt) for c in play.commands if c.step == "notify"] == [(1, 1), (2, 1)]


def test_the_pivots_own_answer_while_it_is_closed_is_decided_when_it_is_resumed() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.cancel()
    play.suspend()
    play.reject("ship")
    play.resume()
    assert play.sent[-1] == "undo charge"


def test_a_close_that_was_answered_meanwhile_is_decided_when_it_is_resumed() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.cancel()
    play.suspend()
    play.reject("close ship")
    assert play.status == "running"
    play.resume()
    assert (play.status, play.sent[-1]) == ("compensating", "undo charge")


def test_while_compensating_no_further_compensation_is_sent() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.reject("ship")
    play.suspend()
    play.succeed("undo charge")
    assert play.sent[-1] == "undo charge"
    play.resume()
    play.succeed("undo reserve")
    assert play.status == "compensated"


@pytest.mark.parametrize(
    ("answer", "follows"), [("reject", "command.retry-scheduled"), ("fail", "command.retry-scheduled")]
)
def test_a_refused_compensation_is_asked_again_after_it_is_resumed(answer: str, follows: str) -> None:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    play.suspend()
    getattr(play, answer)("undo reserve")
    assert types(play.resume()) == ["saga.resumed", follows]
    play.tick()
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_the_last_answer_ends_it_only_when_it_is_resumed() -> None:
    play = suspended("reserve", "charge", "ship")
    play.succeed("notify")
    assert play.status == "running"
    assert types(play.resume()) == ["saga.resumed", "saga.completed"]


def test_a_cancel_is_recorded_and_done_when_it_is_resumed() -> None:
    play = suspended("reserve")
    assert types(play.cancel()) == ["saga.cancel-requested"]
    play.resume()
    assert (play.status, play.state.reason) == ("compensating", "cancelled: changed my mind")
    assert play.sent[-1] == "undo charge"


def test_a_cancel_while_the_pivot_is_out_closes_it_when_it_is_resumed() -> None:
    play = suspended("reserve", "charge")
    play.cancel()
    assert play.sent[-1] == "ship"
    play.resume()
    assert play.sent[-1] == "close ship"


def test_a_cancel_that_the_pivot_overtook_is_void_when_it_is_resumed() -> None:
    play = suspended("reserve", "charge")
    play.cancel()
    play.succeed("ship")
    play.resume()
    assert (play.status, play.sent[-1]) == ("running", "notify")


def test_what_it_waits_for_in_a_retry_delay_goes_on_waiting_after_it_is_resumed() -> None:
    play = Play()
    play.fail("reserve")
    play.suspend()
    assert types(play.resume()) == ["saga.resumed"]
    play.tick()
    assert play.sent == ["reserve", "reserve"]


def test_the_same_request_again_changes_nothing() -> None:
    play = suspended()
    assert play.suspend("suspend-1") == []
    play.resume("resume-1")
    assert play.suspend("suspend-1") == []
    assert play.resume("resume-1") == []


def test_what_is_suspended_cannot_be_suspended_and_what_is_not_cannot_be_resumed() -> None:
    play = suspended()
    with pytest.raises(ActionRefused, match="order 'o1' is suspended already, because: an outage"):
        play.suspend("suspend-2")
    play.resume()
    with pytest.raises(ActionRefused, match="order 'o1' is not suspended"):
        play.resume("resume-2")


def test_what_is_over_cannot_be_suspended() -> None:
    play = Play()
    play.reject("reserve")
    with pytest.raises(ActionRefused, match="order 'o1' is compensated"):
        play.suspend()


@pytest.mark.parametrize("reason", ["", "  "])
@pytest.mark.semantics("compensation-by-hand")
def test_every_action_needs_a_reason(reason: str) -> None:
    with pytest.raises(ActionRefused, match="expected a reason"):
        Play().suspend(reason=reason)


def test_it_can_be_suspended_where_its_definition_is_not_and_not_resumed() -> None:
    play = Play()
    turn = take_turn(None, play.id, play.state, Suspend("s", "an outage"), play.now, "w")
    assert types(turn.events) == ["saga.suspended"]
    play.succeed("reserve")
    play.suspend()
    with pytest.raises(VersionNotHeld, match="worker that holds order@1"):
        take_turn(None, play.id, play.state, Resume("r", "it is over"), play.now, "w")
