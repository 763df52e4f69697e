"""Waiting for an event: a host's answer, a person's approval."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from amends import Event, Saga, step, wait_for
from amends.domain import events as e
from amends.domain.definition import InvalidMessage
from amends.domain.errors import DefinitionError
from amends.domain.inputs import Reschedule, Resume, Skip, Suspend
from amends.domain.told import Arrival
from tests.domain.driver import (
    RETRY,
    SECOND,
    Charge,
    Charged,
    Notify,
    Placed,
    Play,
    Refund,
    Release,
    Reserve,
    Ship,
)

DAY = timedelta(days=1)


class Answered(Event, subject="hosts.answered"):
    order_id: str
    accepted: bool = True
    room: int = 1


class Declined(Event, subject="hosts.declined"):
    order_id: str


class Read(Event, subject="guests.read"):
    order_id: str


YES = Answered(order_id="o1")
NO = Answered(order_id="o1", accepted=False)


class Booking(Saga[Placed], name="booking", version=1, key="order_id"):
    """Reserve, the host answers, ship (the pivot), the guest reads."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    answer = wait_for(
        Answered,
        timeout=DAY,
        key="order_id",
        rejected_if=lambda answer: not answer.accepted,
        rejected_by=Declined,
    )

    @step(pivot=True, timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    read = wait_for(Read, timeout=DAY, key="order_id", on_timeout="skip")

    @step(timeout=SECOND * 10, retry=RETRY)
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


def waiting() -> Play:
    play = Play(Booking)
    play.succeed("reserve")
    return play


def test_a_step_waits_for_its_event_and_the_saga_goes_on_when_it_comes() -> None:
    play = waiting()
    assert play.state.wake_up == play.now + DAY
    assert play.sent == ["reserve"]
    play.arrive(YES)
    assert play.sent == ["reserve", "ship"]
    assert play.told()[-3:] == ["event.received", "wait.succeeded answer", "command.recorded ship forward"]


def test_the_event_is_the_reply_of_its_step() -> None:
    class Priced(Saga[Placed], name="priced", version=1, key="order_id"):
        answer = wait_for(Answered, timeout=DAY, key="order_id")

        @step
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=self.reply(Priced.answer).room)

    play = Play(Priced)
    play.arrive(Answered(order_id="o1", room=7))
    assert play.commands[0].payload == {"order_id": "o1", "amount": 7}


@pytest.mark.semantics("early-event")
def test_a_matching_event_that_arrives_before_its_step_has_started_is_kept_and_consumed_when_it_starts() -> (
    None
):
    play = Play(Booking)
    play.arrive(YES)
    assert play.told()[-1] == "event.received"
    assert play.sent == ["reserve"]
    play.succeed("reserve")
    assert play.told()[-3:] == [
        "wait.started answer",
        "wait.succeeded answer",
        "command.recorded ship forward",
    ]
    assert play.state.kept == ()


@pytest.mark.parametrize("no", [NO, Declined(order_id="o1")])
def test_an_event_that_says_no_rejects_the_step_and_compensates_those_done(no: Event) -> None:
    play = waiting()
    play.arrive(no)
    assert play.sent == ["reserve", "undo reserve"]
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_a_no_that_came_early_counts_when_the_step_starts() -> None:
    play = Play(Booking)
    play.arrive(NO)
    play.succeed("reserve")
    assert play.sent == ["reserve", "undo reserve"]


@pytest.mark.semantics("wait-timeout")
def test_a_waits_timeout_is_definite_and_counts_as_rejected() -> None:
    play = waiting()
    play.wait(DAY - SECOND)
    assert play.status == "running"
    play.wait(SECOND)
    assert "wait.timed-out answer" in play.told()
    assert play.sent == ["reserve", "undo reserve"]
    play.succeed("undo reserve")
    assert play.status == "compensated"


def test_an_event_after_its_waits_timeout_is_passed_over() -> None:
    play = waiting()
    play.wait(DAY)
    play.arrive(YES)
    assert play.told()[-1] == "event.passed-over"
    play.succeed("undo reserve")
    play.arrive(YES)
    assert play.status == "compensated"


def test_the_same_event_again_is_a_no_op() -> None:
    play = waiting()
    play.arrive(YES, message_id="answer-1")
    before = len(play.history)
    play.arrive(YES, message_id="answer-1")
    assert len(play.history) == before


def test_a_second_event_for_one_step_is_passed_over() -> None:
    play = waiting()
    play.arrive(YES)
    play.arrive(NO)
    assert play.told()[-1] == "event.passed-over"
    assert play.status == "running"


@pytest.mark.semantics("wait-and-pivot")
def test_after_the_pivot_a_wait_that_is_skipped_on_its_timeout_lets_the_saga_go_on() -> None:
    play = waiting()
    play.arrive(YES)
    play.succeed("ship")
    play.wait(DAY)
    assert "step.skipped read" in play.told()
    play.succeed("notify")
    assert play.status == "completed"


class Patient(Saga[Placed], name="patient", version=1, key="order_id"):
    @step(pivot=True, timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    read = wait_for(Read, timeout=DAY, key="order_id", on_timeout="park")


@pytest.mark.semantics("wait-and-pivot")
def test_after_the_pivot_a_wait_that_is_parked_on_its_timeout_waits_on() -> None:
    play = Play(Patient)
    play.succeed("ship")
    play.wait(DAY)
    assert play.told()[-1] == "wait.parked read"
    assert play.state.wake_up is None
    play.arrive(Read(order_id="o1"))
    assert play.status == "completed"


class Branches(Saga[Placed], name="branches", version=1, key="order_id", deadline=timedelta(days=5)):
    """A wait beside a charge."""

    answer = wait_for(Answered, timeout=DAY, key="order_id", after=[])

    @step(after=[], timeout=SECOND * 10, retry=RETRY)
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=1)

    @charge.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    @step(after=[answer, charge], timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)


@pytest.mark.semantics("side-by-side")
def test_a_siblings_give_up_ends_a_wait_at_once() -> None:
    play = Play(Branches)
    play.reject("charge")
    assert "step.given-up answer" in play.told()
    assert play.status == "compensated"
    assert play.state.wake_up is None


def test_a_wait_that_is_rejected_gives_up_the_sibling_in_flight_which_is_compensated() -> None:
    play = Play(Branches)
    play.wait(DAY - SECOND)
    play.succeed("charge")
    play.wait(SECOND)
    assert play.sent[-1] == "undo charge"


def test_a_wait_needs_no_compensation_and_is_never_asked_for_one() -> None:
    play = Play(Branches)
    play.arrive(YES)
    play.reject("charge")
    assert play.status == "compensated"
    assert play.count(e.CompensationPassedOver) == 0


def test_cancel_ends_a_wait() -> None:
    play = waiting()
    play.cancel()
    assert play.sent == ["reserve", "undo reserve"]
    assert "step.given-up answer" in play.told()


def test_the_deadline_ends_a_wait() -> None:
    class Hasty(Booking, name="hasty", version=1, key="order_id", deadline=SECOND * 60):
        pass

    play = Play(Hasty)
    play.succeed("reserve")
    play.wait(SECOND * 60)
    assert "step.given-up answer" in play.told()


def test_where_chooses_among_the_events_of_the_saga() -> None:
    class Rooms(Saga[Placed], name="rooms", version=1, key="order_id"):
        second = wait_for(
            Answered, timeout=DAY, key="order_id", where=lambda self, answer: answer.room == self.start.total
        )
        first = wait_for(Answered, timeout=DAY, key="order_id")

    play = Play(Rooms, total=2)
    play.arrive(Answered(order_id="o1", room=1))
    assert play.status == "running"
    play.arrive(Answered(order_id="o1", room=2))
    assert play.status == "completed"
    assert play.state.step("first").reply == {"order_id": "o1", "accepted": True, "room": 1}


def test_one_event_ends_one_wait() -> None:
    class Twice(Saga[Placed], name="twice", version=1, key="order_id"):
        once = wait_for(Answered, timeout=DAY, key="order_id")
        again = wait_for(Answered, timeout=DAY, key="order_id")

    play = Play(Twice)
    play.arrive(YES)
    assert play.state.step("again").waiting
    play.arrive(YES)
    assert play.status == "completed"


def test_an_event_that_is_not_what_its_type_says_is_refused_and_changes_nothing() -> None:
    play = waiting()
    before = len(play.history)
    with pytest.raises(InvalidMessage, match="accepted"):
        play.give(Arrival("m1", Answered.subject, b'{"order_id": "o1", "accepted": 7}'))
    assert len(play.history) == before


def test_a_history_with_waits_tells_which_step_waits_for_what_and_until_when() -> None:
    play = waiting()
    ((known, wait),) = play.state.waits()
    assert (known.name, wait.subjects, wait.due) == (
        "answer",
        ("hosts.answered", "hosts.declined"),
        play.now + DAY,
    )


def test_an_operator_skips_a_wait_and_the_saga_goes_on() -> None:
    play = waiting()
    play.give(Skip("skip-1", "the host told us on the telephone", step="answer", by="ann"))
    assert play.sent == ["reserve", "ship"]
    assert play.state.wake_up != play.now + DAY


def test_an_operator_gives_a_wait_more_time() -> None:
    play = waiting()
    play.give(Reschedule("move-1", "the host is away", step="answer", due=play.now + 3 * DAY, by="ann"))
    assert play.state.wake_up == play.now + 3 * DAY
    play.give(Reschedule("move-2", "for as long as it takes", step="answer", by="ann"))
    ((_, wait),) = play.state.waits()
    assert (wait.due, wait.parked) == (None, "for as long as it takes")
    play.arrive(YES)
    assert play.sent == ["reserve", "ship"]


def test_while_the_saga_is_suspended_an_event_is_kept_and_ends_its_wait_when_it_goes_on() -> None:
    play = waiting()
    play.give(Suspend("suspend-1", "wait", by="ann"))
    play.arrive(YES)
    assert play.state.step("answer").waiting
    play.give(Resume("resume-1", "go on", by="ann"))
    assert play.sent == ["reserve", "ship"]


# What is refused when the class is made


@pytest.mark.semantics("wait-and-pivot")
def test_a_wait_is_never_the_pivot() -> None:
    with pytest.raises(TypeError, match="pivot"):
        wait_for(Answered, timeout=DAY, pivot=True)  # type: ignore[call-arg]


@pytest.mark.semantics("wait-and-pivot")
def test_after_the_pivot_a_wait_must_say_what_its_timeout_does() -> None:
    with pytest.raises(DefinitionError, match="on_timeout"):

        class Wrong(Saga[Placed], name="late", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id=self.key)

            read = wait_for(Read, timeout=DAY)


def test_before_the_pivot_a_waits_timeout_means_nothing_else_than_a_rejection() -> None:
    with pytest.raises(DefinitionError, match="take on_timeout away"):

        class Wrong(Saga[Placed], name="early", version=1, key="order_id"):
            read = wait_for(Read, timeout=DAY, on_timeout="skip")


@pytest.mark.parametrize("options", [{"rejected_by": Declined}, {"rejected_if": lambda _: True}])
def test_after_the_pivot_no_event_can_be_a_no(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="no event can be a no"):

        class Wrong(Saga[Placed], name="late", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id=self.key)

            read = wait_for(Read, timeout=DAY, on_timeout="skip", **options)


def test_a_wait_has_no_compensation() -> None:
    with pytest.raises(DefinitionError, match="nothing to undo"):
        wait_for(Read, timeout=DAY).compensate(lambda _: None)


def test_steps_that_wait_for_one_event_must_find_their_saga_in_one_way() -> None:
    with pytest.raises(DefinitionError, match="in the same way"):

        class Wrong(Saga[Placed], name="torn", version=1, key="order_id"):
            one = wait_for(Answered, timeout=DAY, key="order_id")
            other = wait_for(Answered, timeout=DAY)


def test_one_wait_under_two_names() -> None:
    with pytest.raises(DefinitionError, match="second name"):

        class Wrong(Saga[Placed], name="twins", version=1, key="order_id"):
            one = wait_for(Answered, timeout=DAY)
            other = one


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timeout": timedelta(0)}, "timeout"),
        ({"timeout": DAY, "key": "order"}, "order_id, accepted, room"),
        ({"timeout": DAY, "on_timeout": "wait"}, "'skip' or 'park'"),
        ({"timeout": DAY, "missing": "keep"}, "'ignore', 'park' or 'dead'"),
        ({"timeout": DAY, "patience": timedelta(0)}, "patience"),
        ({"timeout": DAY, "after": ["reserve"]}, "after="),
    ],
)
def test_an_option_of_a_wait_that_makes_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DefinitionError, match=text):
        wait_for(Answered, **options)


def test_a_wait_for_something_without_a_subject() -> None:
    class Nameless(Event):
        pass

    with pytest.raises(DefinitionError, match="subject"):
        wait_for(Nameless, timeout=DAY)


def test_the_shape_tells_what_is_waited_for_and_how_it_finds_its_saga() -> None:
    shape = Booking.definition.shape()
    answer, read = shape["steps"][1], shape["steps"][3]
    assert (answer["kind"], answer["after"], answer["forward"]) == ("wait", ["reserve"], None)
    assert answer["wait"] == {
        "type": "Answered",
        "subject": "hosts.answered",
        "timeout": 86_400.0,
        "rejection": {"type": "Declined", "subject": "hosts.declined"},
    }
    assert read["wait"]["on_timeout"] == "skip"
    assert [each["subject"] for each in shape["listens"]] == [
        "hosts.answered",
        "hosts.declined",
        "guests.read",
    ]
    assert shape["listens"][0]["key"] == ["order_id"]


def test_a_wait_keeps_its_timeout_in_a_subclass_unless_it_is_given_another() -> None:
    class Hasty(Booking, name="booking", version=2, key="order_id"):
        answer = Booking.answer.with_options(timeout=SECOND)

    play = Play(Hasty)
    play.succeed("reserve")
    assert play.state.wake_up == play.now + SECOND
    assert [each.name for each in Hasty.definition.steps] == [each.name for each in Booking.definition.steps]


def test_a_wait_for_the_reply_to_somebody_elses_command() -> None:
    class Watching(Saga[Placed], name="watching", version=1, key="order_id"):
        paid = wait_for(Charged, timeout=DAY)

    play = Play(Watching)
    play.arrive(Charged(payment="p1"))
    assert play.status == "completed"
