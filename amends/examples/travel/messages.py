"""What a trip and its vendors say to each other."""

from __future__ import annotations

from amends import Command, Event


class TripRequested(Event, subject="trips.requested"):
    trip_id: str
    traveller: str


class FlightBooked(Event, subject="flights.booked"):
    seat: str


class BookFlight(Command[FlightBooked], subject="flights.book"):
    trip_id: str
    traveller: str


class CancelFlight(Command, subject="flights.cancel"):
    trip_id: str


class HotelBooked(Event, subject="hotels.booked"):
    room: str


class BookHotel(Command[HotelBooked], subject="hotels.book"):
    trip_id: str
    traveller: str


class CancelHotel(Command, subject="hotels.cancel"):
    trip_id: str


class CarBooked(Event, subject="cars.booked"):
    car: str


class BookCar(Command[CarBooked], subject="cars.book"):
    trip_id: str
    traveller: str
