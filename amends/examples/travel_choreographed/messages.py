"""The events by which the vendors of a trip go on from each other."""

from __future__ import annotations

from amends import Event


class BookingStarted(Event, subject="bookings.started"):
    trip_id: str
    traveller: str


class FlightBooked(Event, subject="airline.booked"):
    trip_id: str
    traveller: str


class HotelBooked(Event, subject="inn.booked"):
    trip_id: str
    traveller: str


class CarBooked(Event, subject="rental.booked"):
    trip_id: str


class FlightFailed(Event, subject="airline.failed"):
    trip_id: str


class HotelFailed(Event, subject="inn.failed"):
    trip_id: str


class CarFailed(Event, subject="rental.failed"):
    trip_id: str


class HotelCompensated(Event, subject="inn.compensated"):
    trip_id: str


class FlightCompensated(Event, subject="airline.compensated"):
    trip_id: str


class BookingFailed(Event, subject="bookings.failed"):
    trip_id: str
