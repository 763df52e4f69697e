"""The bullet "Closing the pivot"."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.domain import events as e
from amends.domain.told import Tick
from tests.domain.driver import SECOND, Play


def at_the_pivot() -> Play:
    play = Play()
    play.succeed("reserve", "charge")
    return play


def pass_the_deadline(play: Play) -> None:
    assert play.state.deadline is not None
    play.now = play.state.deadline
    play.give(Tick())


def closing(how: str = "retries") -> Play:
    """The pivot's command is out, and the pivot is being closed."""
    play = at_the_pivot()
    match how:
        case "retries":
            play.time_out("ship")
        case "cancel":
            play.cancel()
        case "cancel in the delay":
            play.tick()
            play.cancel()
        case _:
            # Answers keep the attempts from being used up before the deadline.
            play.fail("ship", retry_after=timedelta(hours=2).total_seconds())
            pass_the_deadline(play)
    return play


WAYS = ["retries", "cancel", "cancel in the delay", "deadline"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.semantics("closing")
def test_every_way_of_giving_the_pivot_up_leads_to_close_and_nothing_else_is_sent(how: str) -> None:
    play = closing(how)
    assert play.sent[-1] == "close ship"
    assert play.sent.count("close ship") == 1
    assert play.commands[-1].forward_key == play.commands[2].key
    assert play.commands[-1].key != play.commands[2].key
    assert play.commands[-1].subject == "shipping.ship"
    assert play.status == "running"
    assert not any(name.startswith("undo") for name in play.sent)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.semantics("closing")
def test_close_rejected_compensates_the_steps_done_and_not_the_pivot(how: str) -> None:
    play = closing(how)
    play.reject("close ship")
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"
    assert "undo ship" not in play.sent


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.semantics("closing")
def test_close_succeeded_goes_forward(how: str) -> None:
    play = closing(how)
    play.succeed("close ship")
    assert play.sent[-1] == "notify"
    play.succeed("notify")
    assert play.status == "completed"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.semantics("closing")
def test_a_late_success_of_the_pivot_while_it_is_closed_goes_forward(how: str) -> None:
    play = closing(how)
    play.succeed("ship")
    assert play.sent[-1] == "notify"
    assert play.succeed("close ship") == []
    play.succeed("notify")
    assert play.status == "completed"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.semantics("closing")
def test_a_late_rejection_of_the_pivot_while_it_is_closed_compensates(how: str) -> None:
    play = closing(how)
    play.reject("ship")
    assert play.sent[-1] == "undo charge"
    assert play.reject("close ship") == []
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


def test_a_late_failure_of_the_pivot_while_it_is_closed_changes_nothing() -> None:
    play = closing("cancel")
    wake_up = play.state.wake_up
    assert [event.type for event in play.fail("ship")] == ["command.failed"]
    assert play.state.wake_up == wake_up
    play.reject("close ship")
    assert play.status == "compensating"


@pytest.mark.parametrize("how", ["failed", "timed out", "forgotten"])
@pytest.mark.semantics("closing")
def test_a_close_without_an_answer_is_retried_for_ever_with_the_same_key_and_parked(how: str) -> None:
    play = closing()
    for _ in range(8):
        if how == "timed out":
            play.tick()
        else:
            play.fail("close ship", code=how)
        play.tick()
    closes = [c for c, name in zip(play.commands, play.sent, strict=True) if name == "close ship"]
    assert len(closes) == 9
    assert len({c.key for c in closes}) == 1
    assert play.state.step("ship").close.parked
    assert play.count(e.CommandParked) == 1
    assert play.status == "running"
    play.reject("close ship")
    assert play.status == "compensating"


def test_forgotten_parks_a_close_at_once() -> None:
    play = closing()
    play.fail("close ship", code="forgotten")
    assert play.state.step("ship").close.parked


def test_deadline_and_cancel_while_it_is_closed_ask_nothing_more() -> None:
    play = closing()
    assert [event.type for event in play.cancel()] == ["saga.cancel-requested"]
    for _ in range(100):
        if play.state.deadline_passed:
            break
        play.tick()
    assert play.state.deadline_passed
    closes = [c for c, name in zip(play.commands, play.sent, strict=True) if name == "close ship"]
    assert {c.round for c in closes} == {1}
    assert [c.attempt for c in closes] == list(range(1, len(closes) + 1))


def test_the_pivot_itself_is_not_asked_again_after_its_close() -> None:
    play = closing("cancel in the delay")
    for _ in range(20):
        play.tick()
    assert play.sent.count("ship") == 1


@pytest.mark.semantics("late-success-too-late")
def test_a_success_after_the_close_was_rejected_is_a_contradiction() -> None:
    play = closing()
    play.reject("close ship")
    (found,) = play.succeed("ship")
    assert isinstance(found, e.ContradictionFound)
    assert (found.recorded, found.came) == ("rejected", "succeeded")
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"
    assert play.state.contradictions == 1


def test_a_rejection_after_the_close_succeeded_is_a_contradiction() -> None:
    play = closing()
    play.succeed("close ship")
    (found,) = play.reject("ship")
    assert isinstance(found, e.ContradictionFound)
    assert play.sent[-1] == "notify"


def test_a_close_that_disagrees_with_the_pivots_own_late_answer_is_a_contradiction() -> None:
    play = closing()
    play.succeed("ship")
    (found,) = play.reject("close ship")
    assert isinstance(found, e.ContradictionFound)
    assert play.wait(SECOND) == []
