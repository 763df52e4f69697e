"""The trip, in order and with its branches side by side."""

from __future__ import annotations

from amends import Saga, step
from amends.examples.travel.messages import (
    BookCar,
    BookFlight,
    BookHotel,
    CancelFlight,
    CancelHotel,
    TripRequested,
)


class TravelInOrder(Saga[TripRequested], name="travel-in-order", version=1, key="trip_id"):
    """Book the flight, then the hotel, then a car. Without a car the hotel is cancelled, and then the flight."""

    @step
    def book_flight(self) -> BookFlight:
        return BookFlight(trip_id=self.key, traveller=self.start.traveller)

    @book_flight.compensate
    def cancel_flight(self) -> CancelFlight:
        return CancelFlight(trip_id=self.key)

    @step
    def book_hotel(self) -> BookHotel:
        return BookHotel(trip_id=self.key, traveller=self.start.traveller)

    @book_hotel.compensate
    def cancel_hotel(self) -> CancelHotel:
        return CancelHotel(trip_id=self.key)

    @step
    def book_car(self) -> BookCar:
        return BookCar(trip_id=self.key, traveller=self.start.traveller)


class Travel(Saga[TripRequested], name="travel", version=1, key="trip_id"):
    """Book the flight and the hotel side by side, then a car. Without a car both are cancelled, side by side too."""

    @step(after=[])
    def book_flight(self) -> BookFlight:
        return BookFlight(trip_id=self.key, traveller=self.start.traveller)

    @book_flight.compensate
    def cancel_flight(self) -> CancelFlight:
        return CancelFlight(trip_id=self.key)

    @step(after=[])
    def book_hotel(self) -> BookHotel:
        return BookHotel(trip_id=self.key, traveller=self.start.traveller)

    @book_hotel.compensate
    def cancel_hotel(self) -> CancelHotel:
        return CancelHotel(trip_id=self.key)

    @step(after=[book_flight, book_hotel])
    def book_car(self) -> BookCar:
        return BookCar(trip_id=self.key, traveller=self.start.traveller)
