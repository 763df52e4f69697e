"""The paragraphs of "Compensation"."""

from __future__ import annotations

import pytest

from amends.domain import events as e
from amends.domain.saga import Saga, step
from amends.domain.wire import Direction
from tests.domain.driver import RETRY, SECOND, Placed, Play, Refund, Release, Reserve, Ship


def compensating() -> Play:
    """Reserved and charged, then refused by the pivot: the charge is being refunded."""
    play = Play()
    play.succeed("reserve", "charge")
    play.reject("ship")
    return play


@pytest.mark.semantics("compensation-order")
def test_in_reverse_order_and_each_only_after_the_later_is_settled() -> None:
    play = compensating()
    assert play.sent[3:] == ["undo charge"]
    play.succeed("undo charge")
    assert play.sent[3:] == ["undo charge", "undo reserve"]
    play.succeed("undo reserve")
    assert play.status == "compensated"
    assert play.state.wake_up is None


def test_a_compensation_names_the_forward_key_that_it_undoes() -> None:
    play = compensating()
    undo = play.commands[-1]
    assert undo.direction is Direction.COMPENSATE
    assert undo.forward_key == play.commands[1].key
    assert undo.key != undo.forward_key


@pytest.mark.semantics("compensation-retries")
def test_retries_never_end_and_are_parked_after_the_quick_ones() -> None:
    play = compensating()
    for attempt in range(12):
        assert play.state.step("charge").compensation.parked is (attempt >= 3)
        play.fail("undo charge") if attempt % 2 else play.tick()
        play.tick()
    assert play.sent[3:] == ["undo charge"] * 13
    assert play.count(e.CommandParked) == 1
    assert len({c.key for c in play.commands[3:]}) == 1
    assert play.status == "compensating"
    play.succeed("undo charge")
    assert play.sent[-1] == "undo reserve"


@pytest.mark.semantics("compensation-retries")
def test_a_parked_compensation_is_retried_slowly() -> None:
    play = compensating()
    for _ in range(3):
        play.fail("undo charge")
        play.tick()
    before = play.now
    play.fail("undo charge")
    assert play.state.wake_up is not None
    assert SECOND * 80 <= play.state.wake_up - before <= SECOND * 120


@pytest.mark.semantics("compensation-retries")
def test_rejected_opens_a_new_round() -> None:
    play = compensating()
    play.reject("undo charge")
    assert play.status == "compensating"
    play.tick()
    first, second = play.commands[-2:]
    assert (second.round, second.attempt) == (2, 1)
    assert first.key != second.key
    assert first.forward_key == second.forward_key
    play.succeed("undo charge", "undo reserve")
    assert play.status == "compensated"


def test_an_answer_to_an_earlier_attempt_settles_too() -> None:
    play = compensating()
    play.tick()
    play.tick()
    play.succeed("undo charge", attempt=1)
    assert play.sent[-1] == "undo reserve"


def test_nothing_undone_needs_no_body() -> None:
    play = compensating()
    play.succeed("undo charge")
    play.succeed("undo reserve", body=b"{}")  # Released has a field that this lacks
    assert play.status == "compensated"


def test_a_compensation_that_forgot_is_parked_at_once() -> None:
    play = compensating()
    play.fail("undo charge", code="forgotten")
    assert play.state.step("charge").compensation.parked
    assert play.state.wake_up is not None
    assert play.state.wake_up - play.now >= SECOND * 80


class Bare(Saga[Placed], name="bare", version=1, key="order_id"):
    @step
    def first(self) -> Reserve:
        return Reserve(order_id=self.key)

    @first.compensate
    def undo_first(self) -> Release:
        return Release(order_id=self.key)

    @step
    def second(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step(pivot=True)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)


@pytest.mark.semantics("passed-over")
def test_a_step_without_a_compensation_is_passed_over() -> None:
    play = Play(Bare)
    play.succeed("first", "second")
    play.reject("ship")
    passed_over = [event for event in play.events if isinstance(event, e.CompensationPassedOver)]
    assert [(event.step, event.reason) for event in passed_over] == [("second", "no compensation is defined")]
    assert play.sent[-1] == "undo first"


class Fickle(Saga[Placed], name="fickle", version=1, key="order_id"):
    """Its compensation builds a command as long as there is no reply, and none afterwards."""

    @step(retry=RETRY)
    def charge(self) -> Reserve:
        return Reserve(order_id=self.key)

    @charge.compensate(retry=RETRY)
    def refund(self) -> Refund | None:
        reply = self.reply(Fickle.charge, default=None)
        return Refund(order_id=self.key) if reply is None else None

    @step(pivot=True)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)


def test_a_next_round_for_which_nothing_is_built_is_passed_over() -> None:
    play = Play(Fickle)
    play.time_out("charge")
    play.reject("undo charge")
    play.succeed("charge")
    play.tick()
    assert play.status == "compensated"
    assert play.state.step("charge").passed_over
    assert play.state.wake_up is None
