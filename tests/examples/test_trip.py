"""The ride example: no driver, no money, a driver who cannot be sent, and services that do not answer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from amends.examples.trip import Trip
from amends.examples.trip.messages import (
    DispatchDriver,
    DriverMatched,
    FundsHeld,
    HoldFunds,
    MatchDriver,
    ReleaseFunds,
    RideDispatched,
    RideRequested,
    UnmatchDriver,
)
from amends.testing import SagaTest
from amends.testing.kit.scenario import Scenario

pytestmark = pytest.mark.parametrize("play", ["memory", "embedded"], indirect=True)

RIDE = RideRequested(ride_id="r1", rider="Ada", pickup="station", kilometres=Decimal(10))
DRIVER, HELD, SENT = DriverMatched(driver="Bob"), FundsHeld(fare=Decimal("14.50")), RideDispatched(minutes=4)


def matched(play: SagaTest) -> Scenario:
    """A driver is found."""
    return play(Trip).start(RIDE).expect(MatchDriver, pickup="station").reply(DRIVER)


def test_the_driver_who_was_matched_is_dispatched(play: SagaTest) -> None:
    ride = matched(play).expect(HoldFunds, kilometres=Decimal(10)).reply(HELD)
    ride.expect(DispatchDriver, driver="Bob").reply(SENT).settles("completed")


def test_without_a_driver_nothing_has_to_be_undone(play: SagaTest) -> None:
    play(Trip).start(RIDE).expect(MatchDriver).reject("nobody is near by").settles("compensated")


def test_a_rider_who_cannot_pay_frees_the_driver(play: SagaTest) -> None:
    ride = matched(play).expect(HoldFunds).reject("declined")
    ride.expect(UnmatchDriver).reply().settles("compensated")


def test_a_refused_dispatch_releases_the_funds_and_then_the_driver(play: SagaTest) -> None:
    ride = matched(play).expect(HoldFunds).reply(HELD).expect(DispatchDriver).reject("the road is closed")
    release = ride.expect(ReleaseFunds)
    ride.expect_nothing()
    release.reply().expect(UnmatchDriver).reply().settles("compensated")


def test_funds_that_never_answer_may_be_held_and_are_released(play: SagaTest) -> None:
    ride = matched(play)
    for _ in range(3):
        ride.expect(HoldFunds).unanswered()
        ride.advance(seconds=25)
    ride.expect(ReleaseFunds).reply().expect(UnmatchDriver).reply().settles("compensated")


def test_a_dispatch_that_never_answers_is_closed_before_anything_is_undone(play: SagaTest) -> None:
    ride = matched(play).expect(HoldFunds).reply(HELD)
    for _ in range(3):
        ride.expect(DispatchDriver).unanswered()
        ride.advance(seconds=25)
    close = ride.expect(DispatchDriver)
    assert close.direction == "close"
    ride.expect_nothing()
    close.reject("nobody was sent, and nobody will be")
    ride.expect(ReleaseFunds).reply().expect(UnmatchDriver).reply().settles("compensated")


def test_a_driver_who_was_sent_after_all_keeps_the_ride(play: SagaTest) -> None:
    ride = matched(play).expect(HoldFunds).reply(HELD)
    for _ in range(3):
        ride.expect(DispatchDriver).unanswered()
        ride.advance(seconds=25)
    ride.expect(DispatchDriver).reply(SENT).settles("completed")
