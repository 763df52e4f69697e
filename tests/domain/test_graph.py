"""Graphs of steps: `after=`, parallel branches forwards and backwards, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from amends.domain import events as e
from amends.domain.errors import DefinitionError
from amends.domain.saga import Saga, step
from amends.domain.told import Tick
from tests.domain.driver import (
    RETRY,
    SECOND,
    Charge,
    Notify,
    Order,
    Placed,
    Play,
    Refund,
    Release,
    Reserve,
    Ship,
)


class Trip(Saga[Placed], name="trip", version=1, key="order_id", deadline=timedelta(hours=1)):
    """quote, then flight and hotel side by side (the hotel in two steps), then the pivot, then two letters."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def quote(self) -> Notify:
        return Notify(order_id=self.key)

    @step(after=[quote], timeout=SECOND * 10, retry=RETRY)
    def flight(self) -> Reserve:
        return Reserve(order_id=self.key)

    @flight.compensate(timeout=SECOND * 10, retry=RETRY)
    def cancel_flight(self) -> Release:
        return Release(order_id=self.key)

    @step(after=[quote], timeout=SECOND * 10, retry=RETRY)
    def hotel(self) -> Reserve:
        return Reserve(order_id=self.key)

    @hotel.compensate(timeout=SECOND * 10, retry=RETRY)
    def cancel_hotel(self) -> Release:
        return Release(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def meals(self) -> Charge:
        return Charge(order_id=self.key, amount=1)

    @meals.compensate(timeout=SECOND * 10, retry=RETRY)
    def cancel_meals(self) -> Refund:
        return Refund(order_id=self.key)

    @step(after=[flight, meals], pivot=True, timeout=SECOND * 10, retry=RETRY)
    def pay(self) -> Ship:
        return Ship(order_id=self.key)

    @step(after=[pay], timeout=SECOND * 10, retry=RETRY)
    def mail(self) -> Notify:
        return Notify(order_id=self.key)

    @step(after=[pay], timeout=SECOND * 10, retry=RETRY)
    def text(self) -> Notify:
        return Notify(order_id=self.key)


def booked() -> Play:
    """Both branches are done, and the pivot is asked."""
    play = Play(Trip)
    play.succeed("quote", "flight", "hotel", "meals")
    return play


@pytest.mark.semantics("order")
def test_steps_whose_predecessors_are_done_run_side_by_side() -> None:
    play = Play(Trip)
    assert play.sent == ["quote"]
    play.succeed("quote")
    assert play.sent == ["quote", "flight", "hotel"]
    play.succeed("hotel")
    assert play.sent[3:] == ["meals"]
    play.succeed("flight")
    assert play.sent[3:] == ["meals"]
    play.succeed("meals")
    assert play.sent[3:] == ["meals", "pay"]
    play.succeed("pay")
    assert play.sent[5:] == ["mail", "text"]
    play.succeed("text")
    assert play.status == "running"
    play.succeed("mail")
    assert play.status == "completed"


def test_without_a_predecessor_steps_are_asked_at_the_start() -> None:
    class Both(Saga[Placed], name="both", version=1, key="order_id"):
        @step
        def first(self) -> Reserve:
            return Reserve(order_id=self.key)

        @step(after=[])
        def second(self) -> Reserve | None:
            return None

        @step(after=[])
        def third(self) -> Reserve:
            return Reserve(order_id=self.key)

        @step(after=[second])
        def fourth(self) -> Reserve:
            return Reserve(order_id=self.key)

    play = Play(Both)
    assert play.sent == ["first", "third", "fourth"]
    play.succeed("fourth", "third", "first")
    assert play.status == "completed"


@pytest.mark.semantics("side-by-side")
def test_what_is_in_flight_when_a_sibling_is_rejected_is_given_up_and_compensated_in_its_turn() -> None:
    play = Play(Trip)
    play.succeed("quote", "hotel")
    events = play.reject("flight", reason="full")
    assert [(event.type, getattr(event, "step", "")) for event in events] == [
        ("command.rejected", "flight"),
        ("step.given-up", "flight"),
        ("step.given-up", "meals"),
        ("saga.compensating", ""),
        ("command.recorded", "meals"),
    ]
    assert play.state.step("meals").given_up == "flight was given up"
    play.succeed("undo meals")
    assert play.sent[-1] == "undo hotel"
    play.succeed("undo hotel")
    assert play.status == "compensated"
    assert "undo flight" not in play.sent


@pytest.mark.semantics("side-by-side")
def test_a_sibling_in_flight_that_is_rejected_before_its_turn_is_not_compensated() -> None:
    play = Play(Trip)
    play.succeed("quote")
    play.time_out("flight")
    assert play.sent[-2:] == ["undo hotel", "undo flight"]
    assert play.status == "compensating"
    play.succeed("undo flight")
    play.reject("hotel")
    assert play.status == "compensating"  # what is out is waited for
    play.succeed("undo hotel")
    assert play.status == "compensated"

    play = Play(Trip)
    play.succeed("quote", "hotel")
    play.cancel()
    play.reject("flight")
    play.reject("meals")
    play.succeed("undo meals", "undo hotel", "undo flight")
    assert play.status == "compensated"


@pytest.mark.semantics("side-by-side")
def test_nothing_is_retried_forward_after_a_sibling_is_given_up() -> None:
    play = Play(Trip)
    play.succeed("quote")
    play.fail("hotel")
    assert play.state.step("hotel").forward.retry is not None
    play.reject("flight")
    play.until(lambda: play.state.step("hotel").compensation.parked)
    assert play.sent.count("hotel") == 1
    play.succeed("undo hotel")
    assert play.status == "compensated"


def test_a_success_that_comes_after_a_sibling_was_given_up_does_not_go_on_forward() -> None:
    play = Play(Trip)
    play.succeed("quote")
    play.reject("flight")
    play.succeed("hotel")
    assert "meals" not in play.sent
    play.succeed("undo hotel")
    assert play.status == "compensated"


@pytest.mark.semantics("compensation-order")
def test_compensation_runs_in_reverse_order_and_independent_branches_side_by_side() -> None:
    play = booked()
    play.reject("pay")
    assert play.sent[5:] == ["undo meals", "undo flight"]
    play.succeed("undo flight")
    assert play.sent[5:] == ["undo meals", "undo flight"]
    play.succeed("undo meals")
    assert play.sent[5:] == ["undo meals", "undo flight", "undo hotel"]
    play.succeed("undo hotel")
    assert play.status == "compensated"
    assert play.state.step("quote").passed_over


@pytest.mark.semantics("compensation-order")
def test_a_stuck_branch_does_not_hold_up_the_others() -> None:
    play = booked()
    play.reject("pay")
    for _ in range(4):
        play.fail("undo flight", code="forgotten")
    assert play.state.step("flight").compensation.parked
    play.succeed("undo meals", "undo hotel")
    assert play.state.step("hotel").settled
    assert play.status == "compensating"
    assert not play.state.step("quote").passed_over  # the flight comes after it
    play.succeed("undo flight")
    assert play.status == "compensated"


def test_a_timer_of_each_branch_runs_for_itself() -> None:
    play = Play(Trip)
    play.succeed("quote")
    play.fail("hotel")
    play.tick()
    assert play.sent == ["quote", "flight", "hotel", "hotel"]
    play.tick()  # the flight's first attempt is the older one
    assert play.told()[-2:] == ["command.timed-out flight forward", "command.retry-scheduled flight forward"]


def test_the_deadline_gives_up_every_step_in_hand() -> None:
    play = Play(Trip)
    play.succeed("quote")
    for name in ("flight", "hotel"):
        play.fail(name, retry_after=4000.0)
    play.tick()
    assert [event.step for event in play.events if isinstance(event, e.StepGivenUp)] == ["flight", "hotel"]
    assert play.sent[3:] == ["undo hotel", "undo flight"]


def test_cancel_gives_up_every_step_in_hand() -> None:
    play = Play(Trip)
    play.succeed("quote", "hotel")
    play.cancel()
    assert play.sent[4:] == ["undo meals", "undo flight"]
    play.succeed("undo meals", "undo hotel", "undo flight")
    assert play.status == "compensated"


def test_the_deadline_closes_the_pivot_while_it_is_out() -> None:
    play = booked()
    assert play.state.deadline is not None
    play.fail("pay", retry_after=4000.0)
    play.now = play.state.deadline
    play.give(Tick())
    assert play.sent[-1] == "close pay"
    play.reject("close pay")
    assert play.sent[-2:] == ["undo meals", "undo flight"]


def test_after_the_pivot_a_rejected_branch_does_not_hold_up_the_other() -> None:
    play = booked()
    play.succeed("pay")
    play.reject("mail")
    play.succeed("text")
    assert play.status == "running"
    play.tick()
    play.succeed("mail")
    assert play.status == "completed"


def refused(text: str) -> Any:
    return pytest.raises(DefinitionError, match=text)


def test_a_step_of_another_saga_in_after_is_refused() -> None:
    with refused(r"step 'mail': expected after= to name steps of this saga \(ship, mail\), got 'charge'"):

        class Foreign(Saga[Placed], name="foreign", version=1, key="order_id"):
            @step
            def ship(self) -> Ship:
                return Ship(order_id="")

            @step(after=[Order.charge])
            def mail(self) -> Notify:
                return Notify(order_id="")


def test_a_step_that_is_declared_later_in_after_is_refused() -> None:
    with refused(
        "'quote': expected after= to name steps declared before it, got 'hotel'; declare 'hotel' first"
    ):

        class Backwards(Trip, name="backwards", version=1, key="order_id"):
            @step(after=[Trip.hotel])
            def quote(self) -> Notify:
                return Notify(order_id="")


def test_a_step_after_itself_is_refused() -> None:
    with refused("'quote': expected after= to name steps declared before it, got 'quote'"):

        class Itself(Trip, name="itself", version=1, key="order_id"):
            @step(after=[Trip.quote])
            def quote(self) -> Notify:
                return Notify(order_id="")


@pytest.mark.parametrize("after", [["reserve"], [Order.reserve.build], [None]])
def test_something_else_than_a_step_in_after_is_refused(after: list[Any]) -> None:
    def ship(self: object) -> Ship:
        return Ship(order_id="")

    with refused(r"step 'ship': expected after= to hold steps of this saga, such as after=\[reserve\], got"):
        step(after=after)(ship)


@pytest.mark.semantics("one-pivot")
def test_a_step_beside_the_pivot_is_refused() -> None:
    with refused("expected every step to come before or after the pivot 'ship', but 'mail' runs beside it"):

        class Beside(Saga[Placed], name="beside", version=1, key="order_id"):
            @step
            def mail(self) -> Notify:
                return Notify(order_id="")

            @step(after=[], pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id="")


def test_a_compensation_of_a_branch_after_the_pivot_is_refused() -> None:
    with refused("step 'mail' is the pivot or comes after it, so it is never compensated"):

        class After(Saga[Placed], name="after", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id="")

            @step(after=[ship])
            def text(self) -> Notify:
                return Notify(order_id="")

            @step(after=[ship])
            def mail(self) -> Notify:
                return Notify(order_id="")

            @mail.compensate
            def recall(self) -> Notify:
                return Notify(order_id="")


def test_a_step_replaced_in_a_subclass_keeps_its_place_in_the_graph() -> None:
    class Slower(Trip, name="trip", version=2, key="order_id"):
        flight = Trip.flight.with_options(timeout=SECOND * 60)

    assert [s.after for s in Slower.definition.steps] == [s.after for s in Trip.definition.steps]


def test_the_graph_knows_what_comes_before_and_after() -> None:
    graph = Trip.definition.graph
    assert graph.before["pay"] == {"quote", "flight", "hotel", "meals"}
    assert graph.after["hotel"] == {"meals", "pay", "mail", "text"}
    assert graph.after["flight"] == {"pay", "mail", "text"}
    assert graph.before_pivot == {"quote", "flight", "hotel", "meals"}
    assert graph.after_pivot == {"mail", "text"}
