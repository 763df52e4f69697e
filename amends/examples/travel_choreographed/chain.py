"""What is expected of the vendors: flight, hotel, car; and without a car the hotel and then the flight undone."""

from __future__ import annotations

from datetime import timedelta

from amends import Choreography, link
from amends.examples.travel_choreographed.messages import (
    BookingFailed,
    BookingStarted,
    CarBooked,
    CarFailed,
    FlightBooked,
    FlightCompensated,
    FlightFailed,
    HotelBooked,
    HotelCompensated,
    HotelFailed,
)

SOON = timedelta(minutes=5)


class TravelChoreographed(
    Choreography, name="travel-choreographed", version=1, key="trip_id", compensate_with=CarFailed
):
    """Book a flight, then a hotel, then a car.

    A vendor that is silent for too long may have booked and crashed before it said so: the trip is undone.
    """

    flight = link(BookingStarted, "airline", FlightBooked, within=SOON, overdue="compensate")
    hotel = link(FlightBooked, "inn", HotelBooked, within=SOON, overdue="compensate")
    car = link(HotelBooked, "rental", CarBooked, within=SOON, overdue="compensate")

    no_hotel = link(CarFailed, "inn", HotelCompensated, within=SOON, compensating=True)
    no_flight = link(
        (HotelFailed, HotelCompensated), "airline", FlightCompensated, within=SOON, compensating=True
    )
    no_trip = link(
        (FlightFailed, FlightCompensated), "bookings", BookingFailed, within=SOON, compensating=True
    )
