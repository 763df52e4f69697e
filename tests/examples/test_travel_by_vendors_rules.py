"""The trip by the vendors' rules: a flight that cannot be given back, between two holds that lapse after a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.examples.travel import TravelByVendorsRules
from amends.examples.travel.messages import BookFlight, FlightBooked, TripRequested
from amends.examples.travel.progress import progress
from amends.examples.travel.vendors import (
    CaptureHotel,
    ConfirmCar,
    HoldCar,
    PreauthoriseHotel,
    ReleaseCar,
    VoidHotel,
)
from amends.projections.story import standing
from amends.testing import SagaTest
from amends.testing.kit.scenario import Scenario

pytestmark = pytest.mark.parametrize("play", ["memory", "embedded"], indirect=True)

TRIP = TripRequested(trip_id="t1", traveller="Ada")
SEAT = FlightBooked(seat="1A")


def told(trip: Scenario) -> dict[str, str]:
    """What the traveller is told."""
    steps = [step.name for step in TravelByVendorsRules.definition.steps]
    return progress(standing(trip.state, len(trip.history), steps))


def held(play: SagaTest) -> Scenario:
    """Car and hotel are held, and the flight is asked for."""
    return play(TravelByVendorsRules).start(TRIP).expect(HoldCar).reply().expect(PreauthoriseHotel).reply()


def test_all_holds_are_confirmed_once_the_flight_is_booked(play: SagaTest) -> None:
    trip = held(play).expect(BookFlight).reply(SEAT)
    trip.expect(CaptureHotel).reply().expect(ConfirmCar).reply().settles("completed")


def test_a_flight_that_is_not_answered_before_the_holds_lapse_is_closed_and_the_holds_released(
    play: SagaTest,
) -> None:
    trip = held(play)
    trip.expect(BookFlight).unanswered()
    trip.advance(timedelta(hours=22))
    trip.expect(BookFlight).unanswered()
    trip.advance(timedelta(hours=1))
    close = trip.expect(BookFlight)
    assert close.direction == "close"
    close.reject("it was never booked, and no longer can be")
    trip.expect(VoidHotel).reply().expect(ReleaseCar).reply().settles("compensated")


def test_a_flight_that_was_booked_before_it_was_closed_lets_the_trip_go_on(play: SagaTest) -> None:
    trip = held(play)
    trip.expect(BookFlight).unanswered()
    trip.advance(timedelta(hours=22))
    trip.expect(BookFlight).unanswered()
    trip.advance(timedelta(hours=1))
    trip.expect(BookFlight).reply(SEAT)
    trip.expect(CaptureHotel).reply().expect(ConfirmCar).reply().settles("completed")


def test_a_flight_that_the_airline_refuses_releases_all_holds_at_once(play: SagaTest) -> None:
    trip = held(play).expect(BookFlight).reject("full")
    trip.expect(VoidHotel).reply().expect(ReleaseCar).reply().settles("compensated")


def test_the_deadline_passes_while_the_airline_fails_again_and_again(play: SagaTest) -> None:
    trip = held(play)
    trip.expect(BookFlight).fail("no connection", retry_after=timedelta(hours=22))
    trip.advance(hours=22)
    trip.expect(BookFlight).fail("no connection", retry_after=timedelta(hours=22))
    trip.expect_nothing().advance(hours=1)
    close = trip.expect(BookFlight)
    assert close.direction == "close"
    trip.expect_nothing()  # until the airline has answered, no hold is given back
    close.reject("it was never booked, and no longer can be")
    trip.expect(VoidHotel).reply().expect(ReleaseCar).reply().settles("compensated")


def test_the_traveller_is_told_at_every_step_where_the_trip_stands(play: SagaTest) -> None:
    still, asked = "still to come", "asked for, not answered yet"
    trip = play(TravelByVendorsRules).start(TRIP)
    car = trip.expect(HoldCar)
    assert told(trip) == {"car": asked, "hotel": still, "flight": still}
    hotel = car.reply().expect(PreauthoriseHotel)
    assert told(trip) == {"car": "held for you", "hotel": asked, "flight": still}
    flight = hotel.reply().expect(BookFlight)
    assert told(trip) == {"car": "held for you", "hotel": "held for you", "flight": asked}
    capture = flight.reply(SEAT).expect(CaptureHotel)
    assert told(trip) == {"car": "held for you", "hotel": "held for you", "flight": "yours"}
    confirm = capture.reply().expect(ConfirmCar)
    assert told(trip) == {"car": "held for you", "hotel": "yours", "flight": "yours"}
    confirm.reply().settles("completed")
    assert told(trip) == {"car": "yours", "hotel": "yours", "flight": "yours"}


def test_the_traveller_is_told_of_a_flight_that_is_closed_and_of_holds_that_are_released(
    play: SagaTest,
) -> None:
    trip = held(play)
    trip.expect(BookFlight).unanswered()
    trip.advance(hours=22).expect(BookFlight).unanswered()
    close = trip.advance(hours=1).expect(BookFlight)
    assert told(trip)["flight"] == "being closed"
    void = close.reject("never booked").expect(VoidHotel)
    assert told(trip)["hotel"] == "being undone"
    release = void.reply().expect(ReleaseCar)
    assert (told(trip)["hotel"], told(trip)["car"]) == ("released", "being undone")
    release.reply().settles("compensated")
    assert told(trip) == {"car": "released", "hotel": "released", "flight": "not booked"}
