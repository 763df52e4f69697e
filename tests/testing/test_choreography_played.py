"""A choreography in the testing kit: its events are published, and what the observer does is expected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amends.domain.choreography.republishing import republish_request
from amends.testing import SagaTest
from amends.testing.kit import Kit
from tests.domain.chains import (
    CarBooked,
    CarRefused,
    FlightBooked,
    FlightCancelled,
    HotelBooked,
    HotelCancelled,
    Trip,
    TripBegun,
)

TRIP = TripBegun(trip_id="t1")
FLIGHT, HOTEL, CAR = FlightBooked(trip_id="t1"), HotelBooked(trip_id="t1"), CarBooked(trip_id="t1")


@pytest.fixture
def play() -> Iterator[SagaTest]:
    with Kit() as kit:
        yield kit.scenario


def test_a_chain_is_played_by_its_events(play: SagaTest) -> None:
    play(Trip).start(TRIP).publish(FLIGHT).publish(HOTEL).publish(CAR).settles("completed")


def test_a_silent_link_parks(play: SagaTest) -> None:
    play(Trip).start(TRIP).advance(minutes=2).parks("flight")


def test_what_is_asked_for_again_is_expected(play: SagaTest) -> None:
    trip = play(Trip).start(TRIP).publish(FLIGHT).publish(HOTEL).advance(minutes=1)
    trip.expect_event(republish_request("cars"), key="t1").publish(CAR).settles("completed")


def test_a_chain_that_is_turned_back_settles_compensated(play: SagaTest) -> None:
    trip = play(Trip).start(TRIP).publish(FLIGHT).advance(minutes=1)
    trip.expect_event(CarRefused, trip_id="t1")
    trip.publish(HotelCancelled(trip_id="t1")).publish(FlightCancelled(trip_id="t1")).settles("compensated")
