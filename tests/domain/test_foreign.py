"""Foreign participants: they answer by events of their own, keep no promises, and know no close."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from amends import Command, Event, Foreign, Saga, step, wait_for
from amends.domain import events as e
from amends.domain.errors import DefinitionError
from amends.domain.inputs import Abandon, Settle
from amends.domain.told import Reply
from amends.domain.wire import Direction, Outcome
from tests.domain.driver import RETRY, SECOND, Notify, Placed, Play, Release, Reserve


class CarBooked(Event, subject="cars.booked"):
    order: str


class CarSoldOut(Event, subject="cars.sold-out"):
    order: str


class CarDown(Event, subject="cars.down"):
    order: str


class CarFreed(Event, subject="cars.freed"):
    order: str


class BookCar(Command[CarBooked], subject="cars.book"):
    order: str


class FreeCar(Command[CarFreed], subject="cars.free"):
    order: str


CARS = Foreign(key="order", rejected=[CarSoldOut], failed=[CarDown])


class Trip(Saga[Placed], name="trip", version=1, key="order_id"):
    """Reserve, book a car at a foreign service, notify."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY, foreign=CARS)
    def car(self) -> BookCar:
        return BookCar(order=self.key)

    @car.compensate(timeout=SECOND * 10, retry=RETRY, foreign=Foreign(key="order"))
    def free_car(self) -> FreeCar:
        return FreeCar(order=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


BOOKED, SOLD_OUT = CarBooked(order="o1"), CarSoldOut(order="o1")
DOWN, FREED = CarDown(order="o1"), CarFreed(order="o1")


def booking(saga: type[Saga[Any]] = Trip) -> Play:
    play = Play(saga)
    play.succeed("reserve")
    return play


def given_up() -> Play:
    """Nobody answered the car, so that its compensation is out."""
    play = booking()
    play.time_out("car")
    assert play.sent[-1] == "undo car"
    return play


def kinds(events: Sequence[e.SagaEvent]) -> list[str]:
    return [event.type for event in events]


def test_an_event_that_means_success_is_found_by_its_key_and_taken_for_the_answer() -> None:
    play = booking()
    assert kinds(play.arrive(BOOKED)) == ["command.succeeded", "event.taken-for-answer", "command.recorded"]
    assert play.sent[-1] == "notify"
    assert play.state.step("car").reply == {"order": "o1"}


def test_an_event_that_the_definition_declares_rejected_is_definite() -> None:
    play = booking()
    play.arrive(SOLD_OUT)
    assert play.sent[-1] == "undo reserve"
    assert "undo car" not in play.sent


def test_a_no_that_said_nothing_of_another_attempt_says_nothing_of_it_when_it_comes_again() -> None:
    """Its message is delivered once more after the other attempt was answered: that is no contradiction."""
    play = booking()
    play.until(lambda: len([each for each in play.commands if each.step == "car"]) == 2)
    first, second = (each.command_id for each in play.commands if each.step == "car")
    no = Reply("no-2", second, Outcome.REJECTED)
    assert "command.failed" in kinds(play.give(no))
    play.give(Reply("yes-1", first, Outcome.SUCCEEDED, b'{"order": "o1"}'))
    assert play.sent[-1] == "notify"
    assert not play.give(no)
    assert not play.state.contradictions


def test_a_failure_counts_as_failed_and_is_retried() -> None:
    play = booking()
    play.arrive(DOWN)
    play.tick()
    assert [command.attempt for command in play.commands if command.step == "car"] == [1, 2]


def test_a_no_is_never_definite_while_another_attempt_is_unanswered() -> None:
    play = booking()
    play.tick()
    play.tick()
    play.arrive(SOLD_OUT)
    assert "command.failed car forward" in play.told()
    assert play.count(e.CommandRejected) == 0
    play.time_out("car")
    assert play.sent[-1] == "undo car"


def test_the_same_event_again_leaves_no_trace_and_another_that_agrees_is_passed_over() -> None:
    play = booking()
    play.arrive(BOOKED, message_id="booked-1")
    assert kinds(play.arrive(BOOKED, message_id="booked-1")) == []
    assert kinds(play.arrive(BOOKED, message_id="booked-2")) == ["event.passed-over"]


def test_an_event_for_what_was_never_asked_is_passed_over() -> None:
    play = Play(Trip)
    assert kinds(play.arrive(BOOKED)) == ["event.passed-over"]
    play.succeed("reserve")
    assert kinds(play.arrive(FREED)) == ["event.passed-over"]


def test_a_reply_as_the_wire_contract_has_it_is_understood_too() -> None:
    play = booking()
    play.succeed("car", body=b'{"order": "o1"}')
    assert play.sent[-1] == "notify"


def test_a_compensation_is_answered_by_an_event() -> None:
    play = given_up()
    play.arrive(FREED)
    assert play.sent[-1] == "undo reserve"


class CarFirst(Saga[Placed], name="car-first", version=1, key="order_id"):
    """A car beside a reservation, then a notification."""

    @step(after=[], timeout=SECOND * 10, retry=RETRY, foreign=CARS)
    def car(self) -> BookCar:
        return BookCar(order=self.key)

    @car.compensate(timeout=SECOND * 10, retry=RETRY, foreign=Foreign(key="order"))
    def free_car(self) -> FreeCar:
        return FreeCar(order=self.key)

    @step(after=[], timeout=SECOND * 10, retry=RETRY)
    def hold(self) -> Notify:
        return Notify(order_id=self.key)

    @step(after=[car], timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)


def test_a_late_success_before_its_compensation_is_sent_is_undone_by_that() -> None:
    play = Play(CarFirst)
    play.arrive(BOOKED)
    play.reject("hold")
    assert play.sent[-1] == "undo reserve"
    play.succeed("undo reserve")
    play.arrive(FREED)
    assert play.status == "compensated"
    assert play.sent.count("undo car") == 1


@pytest.mark.semantics("late-success-of-a-foreign-service")
def test_a_late_success_while_its_compensation_is_out_opens_another_round_of_it() -> None:
    play = given_up()
    assert kinds(play.arrive(BOOKED)) == [
        "command.succeeded",
        "step.compensation-reopened",
        "event.taken-for-answer",
    ]
    play.arrive(FREED)
    rounds = [command for command in play.commands if command.direction is Direction.COMPENSATE]
    assert [(command.round, command.attempt) for command in rounds] == [(1, 1), (2, 1)]
    assert rounds[0].key != rounds[1].key
    play.arrive(FREED)
    play.succeed("undo reserve")
    assert play.status == "compensated"


@pytest.mark.semantics("late-success-of-a-foreign-service")
def test_a_late_success_after_its_compensation_opens_another_round_of_it() -> None:
    play = given_up()
    play.arrive(FREED)
    play.arrive(BOOKED)
    assert play.sent[-2:] == ["undo reserve", "undo car"]
    play.succeed("undo reserve")
    assert play.status == "compensating"
    play.arrive(FREED)
    assert play.status == "compensated"


@pytest.mark.semantics("late-success-of-a-foreign-service")
def test_a_late_success_reopens_a_compensated_saga() -> None:
    play = given_up()
    play.arrive(FREED)
    play.succeed("undo reserve")
    assert play.status == "compensated"
    play.arrive(BOOKED)
    assert (play.status, play.sent[-1]) == ("compensating", "undo car")
    assert "saga.reopened car" in play.told()
    play.arrive(FREED)
    assert play.status == "compensated"
    assert play.state.contradictions == 0


def test_each_attempt_that_succeeds_after_its_compensation_was_sent_opens_another_round_of_it() -> None:
    play = given_up()
    first, second = (command for command in play.commands[1:3])
    play.arrive(FREED)
    play.succeed("undo reserve")
    for command in (first, second):
        body = b'{"order": "o1"}'
        play.give(Reply(f"late-{command.attempt}", command.command_id, Outcome.SUCCEEDED, body))
        assert (play.status, play.sent[-1]) == ("compensating", "undo car")
        play.arrive(FREED)
        assert play.status == "compensated"
    assert play.state.contradictions == 0


@pytest.mark.semantics("late-success-of-a-foreign-service")
def test_a_command_that_came_twice_and_was_done_again_after_its_compensation_opens_another_round() -> None:
    play = booking()
    play.arrive(BOOKED, message_id="booked-1")
    play.cancel()
    play.arrive(FREED, message_id="freed-1")
    play.succeed("undo reserve")
    assert play.status == "compensated"
    play.arrive(BOOKED, message_id="booked-2")
    assert (play.status, play.sent[-1]) == ("compensating", "undo car")
    play.arrive(FREED, message_id="freed-2")
    assert (play.status, play.state.contradictions) == ("compensated", 0)


@pytest.mark.semantics("late-success-too-late")
def test_a_late_success_in_a_failed_saga_is_a_contradiction() -> None:
    play = given_up()
    play.give(Abandon("abandon-1", "the car company is no more", by="ann"))
    play.arrive(BOOKED)
    assert (play.status, play.state.contradictions) == ("failed", 1)


def test_a_no_and_then_a_yes_is_a_contradiction_and_what_it_says_it_did_is_undone() -> None:
    play = booking()
    play.arrive(SOLD_OUT)
    play.arrive(BOOKED)
    assert play.state.contradictions == 1
    assert "undo car" in play.sent


class PatientTrip(Trip, name="patient-trip", version=1, key="order_id"):
    """A car that is sold out is asked for once more."""

    @step(timeout=SECOND * 10, retry=RETRY, foreign=CARS, ask_again=[SECOND * 60])
    def car(self) -> BookCar:
        return BookCar(order=self.key)

    @car.compensate(timeout=SECOND * 10, retry=RETRY, foreign=Foreign(key="order"))
    def free_car(self) -> FreeCar:
        return FreeCar(order=self.key)


@pytest.mark.semantics("contradictions")
def test_a_yes_after_a_no_that_did_not_count_yet_is_undone_when_the_saga_turns_back() -> None:
    play = booking(PatientTrip)
    play.arrive(SOLD_OUT)
    play.arrive(BOOKED)
    assert (play.status, play.state.contradictions) == ("running", 1)
    play.cancel()
    assert play.sent[-1] == "undo car"
    play.arrive(FREED)
    play.succeed("undo reserve")
    assert play.status == "compensated"


class Flight(Saga[Placed], name="flight", version=1, key="order_id", deadline=timedelta(minutes=5)):
    """Reserve, then a pivot at a foreign service."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(pivot=True, timeout=timedelta(minutes=4), retry=RETRY, foreign=CARS)
    def car(self) -> BookCar:
        return BookCar(order=self.key)


def stopped(how: str) -> Play:
    """A foreign pivot of which nobody knows whether it happened, and a saga that is to turn back."""
    play = booking(Flight)
    match how:
        case "retries used up":
            for _ in range(RETRY.attempts):
                play.until(lambda: play.state.step("car").forward.in_flight is not None)
                play.arrive(DOWN)
        case "cancel":
            play.cancel()
        case _:
            play.until(lambda: play.state.deadline_passed)
    return play


HOW = ["retries used up", "cancel", "deadline"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.semantics("closing-a-foreign-pivot")
def test_a_foreign_pivot_knows_no_close_so_the_saga_is_parked_for_a_person(how: str) -> None:
    play = stopped(how)
    assert play.status == "running"
    assert "close car" not in play.sent
    forward = play.state.step("car").forward
    assert (forward.parked, forward.due) == (True, None)
    assert "find out whether it happened" in forward.stopped


@pytest.mark.parametrize("how", HOW)
@pytest.mark.semantics("closing-a-foreign-pivot")
def test_nothing_is_sent_until_a_foreign_pivot_is_settled(how: str) -> None:
    play = stopped(how)
    sent = list(play.sent)
    while play.state.wake_up is not None:
        play.tick()
    play.arrive(DOWN)
    assert play.sent == sent


@pytest.mark.parametrize("how", HOW)
@pytest.mark.semantics("closing-a-foreign-pivot")
def test_a_late_success_of_a_parked_foreign_pivot_decides(how: str) -> None:
    play = stopped(how)
    play.arrive(BOOKED)
    assert play.status == "completed"


@pytest.mark.parametrize("how", HOW)
@pytest.mark.semantics("closing-a-foreign-pivot")
def test_a_person_settles_a_parked_foreign_pivot(how: str) -> None:
    play = stopped(how)
    play.give(Settle("settle-1", "their desk says no", step="car", outcome=Outcome.REJECTED, by="ann"))
    assert play.sent[-1] == "undo reserve"


def test_a_definite_no_of_a_parked_foreign_pivot_decides() -> None:
    play = stopped("cancel")
    play.arrive(SOLD_OUT)
    assert play.sent[-1] == "undo reserve"


# What is refused when the class is made


def test_a_command_of_a_foreign_service_must_name_the_event_that_means_success() -> None:
    with pytest.raises(DefinitionError, match="name the event that says it succeeded"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(foreign=Foreign(key="order"))
            def notify(self) -> Notify:
                return Notify(order_id=self.key)


def test_the_key_of_a_foreign_service_must_be_a_field_of_its_events() -> None:
    with pytest.raises(DefinitionError, match="fields of CarBooked"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(foreign=Foreign(key="order_id"))
            def car(self) -> BookCar:
                return BookCar(order=self.key)


def test_an_event_of_a_foreign_service_may_answer_one_thing_only() -> None:
    with pytest.raises(DefinitionError, match="could mean several"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(foreign=CARS)
            def car(self) -> BookCar:
                return BookCar(order=self.key)

            @step(foreign=CARS)
            def other(self) -> BookCar:
                return BookCar(order=self.key)


def test_nobody_waits_for_an_event_that_answers_a_step() -> None:
    with pytest.raises(DefinitionError, match="could mean several"):

        class Wrong(Saga[Placed], name="wrong", version=1, key="order_id"):
            @step(foreign=CARS)
            def car(self) -> BookCar:
                return BookCar(order=self.key)

            booked = wait_for(CarBooked, timeout=SECOND, key="order")


def test_the_shape_tells_how_a_foreign_service_answers() -> None:
    shape = Trip.definition.shape()
    assert shape["steps"][1]["forward"]["foreign"] == [
        {"type": "CarBooked", "subject": "cars.booked", "outcome": "succeeded"},
        {"type": "CarSoldOut", "subject": "cars.sold-out", "outcome": "rejected"},
        {"type": "CarDown", "subject": "cars.down", "outcome": "failed"},
    ]
    heard = {each["subject"] for each in shape["listens"]}
    assert heard == {"cars.booked", "cars.sold-out", "cars.down", "cars.freed"}
