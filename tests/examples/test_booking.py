"""The booking example: a host who accepts, declines, never answers, or is quicker than the bank."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from amends.domain import events as e
from amends.examples.booking import Booking
from amends.examples.booking.messages import (
    CapturePayment,
    HoldDates,
    HostAnswered,
    Preauthorised,
    PreauthorisePayment,
    ReleaseDates,
    SendConfirmation,
    StayRequested,
    VoidPreauthorisation,
)
from amends.testing import SagaTest
from amends.testing.kit.scenario import Scenario

STAY = StayRequested(
    booking_id="b1",
    home="cottage",
    guest="Ada",
    arrives=date(2026, 7, 1),
    leaves=date(2026, 7, 8),
    price=Decimal(700),
)
HELD = Preauthorised(authorisation="a-1")
YES, NO = (
    HostAnswered(booking_id="b1", accepted=True, note="The key is under the mat."),
    HostAnswered(booking_id="b1", accepted=False),
)


def asked(play: SagaTest) -> Scenario:
    """The host is asked."""
    return play(Booking).start(STAY).expect(HoldDates).reply().expect(PreauthorisePayment).reply(HELD)


def told(booking: Scenario) -> list[str]:
    """What the saga told others."""
    events = [recorded.event for recorded in booking.history]
    return [event.subject for event in events if isinstance(event, e.EventPublished)]


def test_the_host_confirms(play: SagaTest) -> None:
    booking = asked(play).advance(hours=23).publish(YES)
    booking.expect(CapturePayment, authorisation="a-1").reply()
    booking.expect(SendConfirmation, note="The key is under the mat.").reply().settles("completed")


def test_a_host_who_answers_before_the_payment_is_pre_authorised_is_heard(play: SagaTest) -> None:
    booking = play(Booking).start(STAY).publish(YES)
    booking.expect(HoldDates).reply().expect(PreauthorisePayment).reply(HELD)
    booking.expect(CapturePayment).reply().expect(SendConfirmation).reply().settles("completed")


def test_the_host_declines(play: SagaTest) -> None:
    booking = asked(play).publish(NO)
    booking.expect(VoidPreauthorisation).reply().expect(ReleaseDates).reply().settles("compensated")
    assert told(booking) == ["stays.fell-through"]


def test_the_host_never_answers(play: SagaTest) -> None:
    booking = asked(play).advance(hours=23)
    booking.expect_nothing()
    booking.advance(hours=1)
    booking.expect(VoidPreauthorisation).reply().expect(ReleaseDates).reply().settles("compensated")
    assert told(booking) == ["stays.fell-through"]


def test_an_answer_after_a_day_changes_nothing(play: SagaTest) -> None:
    booking = asked(play).advance(hours=25).publish(YES)
    booking.expect(VoidPreauthorisation).reply().expect(ReleaseDates).reply().settles("compensated")


def test_a_declined_card_does_not_trouble_the_host(play: SagaTest) -> None:
    booking = (
        play(Booking).start(STAY).expect(HoldDates).reply().expect(PreauthorisePayment).reject("declined")
    )
    booking.expect(ReleaseDates).reply().settles("compensated")
    assert told(booking) == []


def test_mail_that_is_down_after_the_capture_is_sent_when_it_works_again(play: SagaTest) -> None:
    booking = asked(play).publish(YES).expect(CapturePayment).reply()
    for _ in range(3):
        booking.expect(SendConfirmation).fail("the mail server is down")
        booking.advance(minutes=2)
    booking.parks("send_confirmation")
    booking.advance(hours=1)
    booking.expect(SendConfirmation).reply().settles("completed")


def test_a_worker_that_was_down_for_a_day_does_not_time_out_an_answer_that_waits(play: SagaTest) -> None:
    booking = asked(play).advance(hours=23).crash(at="received").publish(YES)
    booking.expect(CapturePayment).reply().expect(SendConfirmation).reply().settles("completed")
