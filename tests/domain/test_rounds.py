"""A rejection that is asked again, in new rounds after given delays, before it counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends import Retry, Saga, step
from amends.domain import events as e
from amends.domain.errors import DefinitionError
from amends.domain.inputs import Retry as RetryNow
from tests.domain.driver import (
    RETRY,
    SECOND,
    Charge,
    Notify,
    Placed,
    Play,
    Refund,
    Release,
    Reserve,
    Ship,
)

DAY = timedelta(days=1)
DELAYS = (DAY, 3 * DAY, 7 * DAY)


class Renewal(Saga[Placed], name="renewal", version=1, key="order_id", deadline=timedelta(days=30)):
    """Reserve, charge (a declined card is charged again after 1, 3 and 7 days), ship (the pivot)."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY, ask_again=DELAYS)
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @charge.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    @step(pivot=True, timeout=SECOND * 10, retry=RETRY, ask_again=[DAY])
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY, ask_again=[DAY])
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


def charging() -> Play:
    play = Play(Renewal)
    play.succeed("reserve")
    return play


@pytest.mark.semantics("round", "declared-rounds")
def test_a_rejection_is_asked_again_in_a_new_round_with_a_new_key_after_each_declared_delay() -> None:
    play = charging()
    for number, delay in enumerate(DELAYS, start=2):
        play.reject("charge")
        assert play.status == "running"
        assert play.state.wake_up == play.now + delay
        play.tick()
        assert play.commands[-1].round == number
    charges = [command for command in play.commands if command.step == "charge"]
    assert len({command.key for command in charges}) == 4
    assert [command.attempt for command in charges] == [1, 1, 1, 1]
    assert play.count(e.CommandParked) == 0


def test_a_round_that_succeeds_lets_the_saga_go_on() -> None:
    play = charging()
    play.reject("charge")
    play.tick()
    play.succeed("charge")
    assert play.sent[-1] == "ship"


@pytest.mark.semantics("declared-rounds")
def test_when_the_declared_rounds_are_used_up_a_rejection_counts() -> None:
    play = charging()
    for _ in DELAYS:
        play.reject("charge")
        play.tick()
    play.reject("charge")
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    assert play.status == "compensated"
    assert "undo charge" not in play.sent


def test_each_round_has_the_quick_retries_of_its_own() -> None:
    play = charging()
    play.fail("charge")
    play.tick()
    play.fail("charge")
    play.tick()
    play.reject("charge")
    play.tick()
    play.fail("charge")
    play.tick()
    assert play.status == "running"
    assert [(c.round, c.attempt) for c in play.commands if c.step == "charge"] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
    ]
    assert play.count(e.CommandParked) == 0


def test_a_later_round_that_is_never_answered_is_compensated_for_its_own_key() -> None:
    play = charging()
    play.reject("charge")
    play.tick()
    play.time_out("charge")
    undo = play.commands[-1]
    assert (play.sent[-1], undo.forward_key) == (
        "undo charge",
        play.state.step("charge").forward.rounds[1].key,
    )


def test_a_cancel_between_two_rounds_compensates_what_is_done_and_not_the_rejected_step() -> None:
    play = charging()
    play.reject("charge")
    play.cancel()
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_the_deadline_between_two_rounds_compensates() -> None:
    class Hasty(Renewal, name="hasty", version=1, key="order_id", deadline=SECOND * 60):
        pass

    play = Play(Hasty)
    play.succeed("reserve")
    play.reject("charge")
    play.wait(SECOND * 60)
    assert play.sent[-1] == "undo reserve"


def test_an_operator_opens_the_next_round_at_once() -> None:
    play = charging()
    play.reject("charge")
    play.give(RetryNow("retry-1", "the customer has a new card", step="charge", by="ann"))
    assert (play.commands[-1].step, play.commands[-1].round) == ("charge", 2)


def test_a_pivot_that_is_rejected_is_asked_again_too() -> None:
    play = charging()
    play.succeed("charge")
    play.reject("ship")
    assert play.state.wake_up == play.now + DAY
    play.tick()
    play.reject("ship")
    assert play.sent[-1] == "undo charge"


def test_between_two_rounds_of_the_pivot_nothing_is_out_so_a_cancel_compensates_without_closing_it() -> None:
    play = charging()
    play.succeed("charge")
    play.reject("ship")
    play.cancel()
    assert play.sent[-1] == "undo charge"
    assert "close ship" not in play.sent


def test_a_pivot_that_is_being_closed_is_not_asked_again() -> None:
    play = charging()
    play.succeed("charge")
    play.cancel()
    assert play.sent[-1] == "close ship"
    play.reject("ship")
    assert play.sent[-1] == "undo charge"


def test_after_the_pivot_the_declared_rounds_come_before_the_slow_ones() -> None:
    play = charging()
    play.succeed("charge", "ship")
    play.reject("notify")
    assert play.state.wake_up is not None
    assert play.state.step("notify").forward.due == play.now + DAY
    assert not play.state.step("notify").forward.parked
    for _ in range(RETRY.attempts + 1):
        play.until(lambda: play.state.step("notify").forward.in_flight is not None)
        play.reject("notify")
    assert play.state.step("notify").forward.parked
    assert play.status == "running"


def test_with_options_keeps_the_declared_rounds() -> None:
    class Patient(Renewal, name="renewal", version=2, key="order_id"):
        charge = Renewal.charge.with_options(retry=Retry(attempts=9))

    assert Patient.definition.step("charge").forward.ask_again == DELAYS


def test_the_shape_tells_the_declared_rounds() -> None:
    steps = {each["name"]: each for each in Renewal.definition.shape()["steps"]}
    assert steps["charge"]["forward"]["ask_again"] == [86_400.0, 259_200.0, 604_800.0]
    assert "ask_again" not in steps["reserve"]["forward"]


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(days=-1), timedelta(days=40_000)])
def test_a_delay_that_makes_no_sense(delay: timedelta) -> None:
    with pytest.raises(DefinitionError, match="time limit"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(ask_again=[delay])
            def reserve(self) -> Reserve:
                return Reserve(order_id=self.key)
