"""Cancel, in every place of a saga's life."""

from __future__ import annotations

import pytest

from amends.domain.errors import ActionRefused
from tests.domain.driver import Play


@pytest.mark.semantics("cancel")
def test_before_the_pivots_command_is_out_it_compensates_and_the_step_in_hand_too() -> None:
    play = Play()
    play.succeed("reserve")
    events = play.cancel(reason="changed my mind")
    assert [event.type for event in events] == [
        "saga.cancel-requested",
        "step.given-up",
        "saga.compensating",
        "command.recorded",
    ]
    assert play.state.reason == "cancelled: changed my mind"
    assert play.sent[-1] == "undo charge"
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


def test_during_a_retry_delay_the_step_in_hand_is_compensated_and_not_retried() -> None:
    play = Play()
    play.fail("reserve")
    play.cancel()
    play.succeed("undo reserve")
    assert play.sent == ["reserve", "undo reserve"]
    assert play.status == "compensated"


def test_a_rejection_that_comes_after_a_cancel_needs_no_second_look() -> None:
    play = Play()
    play.cancel()
    play.reject("reserve")
    play.succeed("undo reserve")
    assert play.status == "compensated"


@pytest.mark.semantics("cancel")
def test_while_the_pivots_command_is_out_it_closes_it() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.cancel()
    assert play.sent[-1] == "close ship"
    assert play.status == "running"


@pytest.mark.semantics("cancel")
def test_after_the_pivot_it_is_refused_and_nothing_is_recorded() -> None:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    before = len(play.history)
    with pytest.raises(ActionRefused, match=r"order 'o1' cannot be cancelled: its pivot 'ship' is done"):
        play.cancel()
    assert len(play.history) == before


def test_the_same_cancel_again_is_a_no_op_and_another_is_refused() -> None:
    play = Play()
    play.cancel("cancel-1")
    assert play.cancel("cancel-1") == []
    with pytest.raises(ActionRefused, match="expected a running saga to cancel; order 'o1' is compensating"):
        play.cancel("cancel-2")


def test_another_cancel_while_the_pivot_is_closed_is_refused() -> None:
    play = Play()
    play.succeed("reserve", "charge")
    play.cancel("cancel-1")
    with pytest.raises(ActionRefused, match="order 'o1' is being cancelled already"):
        play.cancel("cancel-2")


@pytest.mark.parametrize("end", ["completed", "compensated"])
def test_after_the_end_it_is_refused(end: str) -> None:
    play = Play()
    if end == "completed":
        play.succeed("reserve", "charge", "ship", "notify")
    else:
        play.reject("reserve")
    with pytest.raises(ActionRefused, match=f"order 'o1' is {end}"):
        play.cancel()
