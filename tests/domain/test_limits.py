"""Limits: a held command's time begins when it is released; one that nobody wants any more never leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends import Saga, step, wait_for
from amends.domain import events as e
from amends.domain.errors import ActionRefused
from amends.domain.evolve import fold
from amends.domain.inputs import Abandon, Reschedule, Retry, Settle, Skip
from amends.domain.wire import Direction, Outcome
from tests.domain.driver import RETRY, SECOND, Placed, Play, Reserve
from tests.domain.test_waits import Answered, Declined

INVENTORY = ("inventory",)


def types(events: object) -> list[str]:
    assert isinstance(events, list)
    return [event.type for event in events]


@pytest.mark.semantics("held")
def test_a_held_command_s_attempt_clock_starts_when_it_is_released() -> None:
    play = Play(limited=INVENTORY)
    assert play.commands[0].held
    assert play.state.wake_up == play.state.deadline
    play.wait(SECOND * 60)
    assert play.count(e.CommandTimedOut) == 0
    play.admit("reserve")
    assert play.state.wake_up == play.now + SECOND * 10
    play.wait(SECOND * 10)
    assert play.count(e.CommandTimedOut) == 1


@pytest.mark.semantics("held")
def test_a_held_command_s_expiry_starts_when_it_is_released() -> None:
    play = Play(limited=INVENTORY)
    play.now += SECOND * 60
    play.admit("reserve")
    attempt = play.state.step("reserve").forward.rounds[0].last
    assert (attempt.sent, attempt.expires) == (play.now, play.now + SECOND * 10)


@pytest.mark.semantics("held")
def test_the_key_of_a_held_command_is_opened_by_its_release() -> None:
    play = Play(limited=INVENTORY)
    play.now += timedelta(minutes=50)
    play.admit("reserve")
    assert play.state.step("reserve").forward.rounds[0].opened == play.now


@pytest.mark.semantics("held")
def test_the_release_is_durable() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    assert fold(play.events, play.id) == play.state
    assert play.told()[-1] == "command.released reserve forward"


def test_a_release_that_comes_twice_is_one() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    assert not play.admit("reserve")


def test_services_without_limits_are_asked_at_once() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    play.succeed("reserve")
    assert not play.commands[-1].held
    assert play.state.step("charge").forward.in_flight is not None


@pytest.mark.semantics("withdrawn")
def test_a_recorded_command_counts_as_sent() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    play.cancel()
    assert play.sent == ["reserve", "undo reserve"]


@pytest.mark.semantics("withdrawn")
def test_the_transaction_that_gives_a_step_up_withdraws_it_unreleased() -> None:
    play = Play(limited=INVENTORY)
    given_up = types(play.cancel())
    assert given_up == [
        "saga.cancel-requested", "step.given-up", "saga.compensating", "command.withdrawn", "saga.compensated",
    ]  # fmt: skip
    assert play.sent == ["reserve"]
    assert not play.admit("reserve")


class BesideAWait(Saga[Placed], name="beside-a-wait", version=1, key="order_id"):
    """Reserve while the host is waited for."""

    @step(after=[], timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    answer = wait_for(Answered, after=[], timeout=SECOND * 60, key="order_id", rejected_by=Declined)


@pytest.mark.semantics("withdrawn")
def test_what_is_held_beside_a_wait_that_is_answered_no_is_withdrawn_in_the_same_transaction() -> None:
    play = Play(BesideAWait, limited=INVENTORY)
    play.arrive(Declined(order_id="o1"))
    assert (play.status, play.count(e.CommandWithdrawn)) == ("compensated", 1)


def test_a_later_attempt_is_withdrawn_and_the_earlier_one_is_compensated() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    play.fail("reserve")
    play.tick()
    assert play.state.step("reserve").forward.held is not None
    play.cancel()
    assert play.sent == ["reserve", "reserve", "undo reserve"]
    assert play.count(e.CommandWithdrawn) == 1


def test_an_answer_to_an_earlier_attempt_withdraws_the_one_that_is_held() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    play.until(lambda: play.count(e.CommandRecorded) == 2)
    play.answer("reserve", Outcome.SUCCEEDED, attempt=1)
    assert play.count(e.CommandWithdrawn) == 1
    assert play.sent[-1] == "charge"


def test_compensations_and_closes_are_held_too_and_wait_for_ever() -> None:
    play = Play(limited=("payments", "shipping"))
    play.succeed("reserve")
    play.admit("charge")
    play.succeed("charge")
    play.admit("ship")
    play.cancel()
    assert play.state.step("ship").close.held is not None
    play.admit("close ship")
    play.reject("close ship")
    assert play.state.step("charge").compensation.held is not None
    assert play.state.wake_up is None
    play.admit("undo charge")
    play.succeed("undo charge", body=b"{}")
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_the_deadline_turns_back_without_closing_a_pivot_that_never_left() -> None:
    play = Play(limited=("shipping",))
    play.succeed("reserve", "charge")
    assert play.state.step("ship").forward.held is not None
    play.tick()
    assert play.status == "compensating"
    assert play.sent == ["reserve", "charge", "ship", "undo charge"]
    assert play.count(e.CommandWithdrawn) == 1


def test_a_pivot_of_which_an_attempt_left_is_closed_and_the_held_one_withdrawn() -> None:
    play = Play(limited=("shipping",))
    play.succeed("reserve", "charge")
    play.admit("ship")
    play.fail("ship")
    play.tick()
    play.cancel()
    assert play.sent[-1] == "close ship"
    assert play.count(e.CommandWithdrawn) == 1


def test_nothing_is_released_while_suspended_and_what_is_held_leaves_after_resuming() -> None:
    play = Play(limited=INVENTORY)
    play.suspend()
    assert not play.admit("reserve")
    play.resume()
    assert types(play.admit("reserve")) == ["command.released"]


@pytest.mark.semantics("withdrawn")
def test_abandon_withdraws_what_is_held_and_lists_every_unresolved_key() -> None:
    play = Play(limited=("payments",))
    play.succeed("reserve")
    ended = play.give(Abandon("abandon-1", "hopeless"))
    assert types(ended) == ["command.withdrawn", "saga.failed"]
    failed = play.events[-1]
    assert isinstance(failed, e.SagaFailed)
    assert (failed.effects, failed.unresolved) == (("reserve",), ())


def test_abandon_lists_the_key_of_which_an_earlier_attempt_left() -> None:
    play = Play(limited=INVENTORY)
    play.admit("reserve")
    play.fail("reserve")
    play.tick()
    play.give(Abandon("abandon-1", "hopeless"))
    failed = play.events[-1]
    assert isinstance(failed, e.SagaFailed)
    assert [key.step for key in failed.unresolved] == ["reserve"]


@pytest.mark.semantics("withdrawn")
def test_a_step_that_is_skipped_while_it_is_held_did_not_happen() -> None:
    play = Play(limited=INVENTORY)
    play.give(Skip("skip-1", "not needed", step="reserve"))
    assert play.count(e.CommandWithdrawn) == 1
    play.reject("charge")
    assert play.sent == ["reserve", "charge"]
    assert play.status == "compensated"


def test_what_is_settled_by_hand_does_not_leave() -> None:
    play = Play(limited=INVENTORY)
    settled = Settle(
        "s1", "I called them", step="reserve", outcome=Outcome.SUCCEEDED, reply={"reservation": "r"}
    )
    play.give(settled)
    assert play.count(e.CommandWithdrawn) == 1
    assert play.sent[-1] == "charge"


def test_a_compensation_settled_by_hand_does_not_leave() -> None:
    play = Play(limited=("payments",))
    play.succeed("reserve")
    play.admit("charge")
    play.succeed("charge")
    play.reject("ship")
    settle = Settle("s1", "done", step="charge", outcome=Outcome.SUCCEEDED, direction=Direction.COMPENSATE)
    play.give(settle)
    assert play.count(e.CommandWithdrawn) == 1
    assert play.sent[-1] == "undo reserve"


def test_a_held_command_cannot_be_hurried_and_the_refusal_says_what_holds_it() -> None:
    play = Play(limited=INVENTORY)
    with pytest.raises(ActionRefused, match=r"held by the limits of its service.*amends limits"):
        play.give(Retry("r1", "now", "reserve"))
    with pytest.raises(ActionRefused, match="no timer of step 'reserve'"):
        play.give(Reschedule("r2", "now", "reserve", play.now))


@pytest.mark.semantics("slots")
def test_parked_and_suspended_sagas_and_those_that_ended_hold_no_slot() -> None:
    play = Play()
    busy = [play.state.busy]
    play.suspend()
    busy.append(play.state.busy)
    play.resume()
    play.succeed("reserve", "charge", "ship")
    busy.append(play.state.busy)
    play.until(lambda: play.count(e.CommandParked) == 1)
    busy.append(play.state.busy)
    play.succeed("notify")
    assert [*busy, play.state.busy] == [True, False, True, False, False]
