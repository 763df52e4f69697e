"""The travel example: branches side by side, and compensation in reverse order."""

from __future__ import annotations

from amends.examples.travel import Travel, TravelInOrder
from amends.examples.travel.messages import (
    BookCar,
    BookFlight,
    BookHotel,
    CancelFlight,
    CancelHotel,
    CarBooked,
    FlightBooked,
    HotelBooked,
    TripRequested,
)
from amends.testing import SagaTest

TRIP = TripRequested(trip_id="t1", traveller="Ada")
SEAT, ROOM, CAR = FlightBooked(seat="1A"), HotelBooked(room="7"), CarBooked(car="blue")


def test_flight_and_hotel_are_booked_side_by_side_and_the_car_when_both_are(play: SagaTest) -> None:
    trip = play(Travel).start(TRIP)
    flight, hotel = trip.expect(BookFlight), trip.expect(BookHotel)
    hotel.reply(ROOM)
    trip.expect_nothing()
    flight.reply(SEAT)
    trip.expect(BookCar).reply(CAR).settles("completed")


def test_without_a_car_both_are_cancelled_side_by_side(play: SagaTest) -> None:
    trip = play(Travel).start(TRIP)
    trip.expect(BookFlight).reply(SEAT).expect(BookHotel).reply(ROOM)
    trip.expect(BookCar).reject("sold out")
    flight, hotel = trip.expect(CancelFlight), trip.expect(CancelHotel)
    hotel.reply()
    flight.reply()
    trip.settles("compensated")


def test_a_hotel_that_is_stuck_does_not_hold_up_the_flight(play: SagaTest) -> None:
    trip = play(Travel).start(TRIP)
    trip.expect(BookFlight).reply(SEAT).expect(BookHotel).reply(ROOM)
    trip.expect(BookCar).reject("sold out")
    trip.expect(CancelFlight).reply()
    for _ in range(5):
        trip.expect(CancelHotel).fail("their line is dead")
        trip.advance(minutes=2)
    trip.parks("book_hotel")
    trip.advance(minutes=20)
    trip.expect(CancelHotel).reply().settles("compensated")


def test_a_hotel_that_was_asked_when_the_flight_was_refused_is_cancelled_too(play: SagaTest) -> None:
    trip = play(Travel).start(TRIP)
    hotel = trip.expect(BookHotel)
    trip.expect(BookFlight).reject("full")
    trip.expect(CancelHotel).reply()
    hotel.reply(ROOM)
    trip.settles("compensated")


def test_in_order_the_hotel_is_cancelled_before_the_flight(play: SagaTest) -> None:
    trip = play(TravelInOrder).start(TRIP)
    trip.expect(BookFlight).reply(SEAT).expect(BookHotel).reply(ROOM).expect(BookCar).reject("sold out")
    hotel = trip.expect(CancelHotel)
    trip.expect_nothing()
    hotel.reply().expect(CancelFlight).reply().settles("compensated")
