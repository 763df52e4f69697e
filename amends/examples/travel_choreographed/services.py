"""The vendors, each with a database of its own and little to sell; their work is that of `amends.examples.travel`."""

from __future__ import annotations

from amends import Participant, Tx
from amends.examples.travel import services as work
from amends.examples.travel.messages import BookCar, BookFlight, BookHotel, CancelFlight, CancelHotel
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

airline: Participant[None] = Participant("airline")
inn: Participant[None] = Participant("inn")
rental: Participant[None] = Participant("rental")
bookings: Participant[None] = Participant("bookings")


@airline.reacts_to(BookingStarted, key="trip_id", rejected=FlightFailed)
async def book_flight(event: BookingStarted, tx: Tx) -> FlightBooked:
    """Sell a seat."""
    await work.book_flight(BookFlight(trip_id=event.trip_id, traveller=event.traveller), tx)
    return FlightBooked(trip_id=event.trip_id, traveller=event.traveller)


@airline.reacts_to(HotelFailed, key="trip_id", undoes=BookingStarted, publishes=FlightCompensated)
@airline.reacts_to(HotelCompensated, key="trip_id", undoes=BookingStarted, publishes=FlightCompensated)
async def cancel_flight(event: HotelFailed | HotelCompensated, tx: Tx) -> None:
    """Take the seat back."""
    await work.cancel_flight(CancelFlight(trip_id=event.trip_id), tx)


@inn.reacts_to(FlightBooked, key="trip_id", rejected=HotelFailed)
async def book_hotel(event: FlightBooked, tx: Tx) -> HotelBooked:
    """Let a room."""
    await work.book_hotel(BookHotel(trip_id=event.trip_id, traveller=event.traveller), tx)
    return HotelBooked(trip_id=event.trip_id, traveller=event.traveller)


@inn.reacts_to(CarFailed, key="trip_id", undoes=FlightBooked, publishes=HotelCompensated)
async def cancel_hotel(event: CarFailed, tx: Tx) -> None:
    """Free the room."""
    await work.cancel_hotel(CancelHotel(trip_id=event.trip_id), tx)


@rental.reacts_to(HotelBooked, key="trip_id", rejected=CarFailed)
async def book_car(event: HotelBooked, tx: Tx) -> CarBooked:
    """Hire out a car."""
    await work.book_car(BookCar(trip_id=event.trip_id, traveller=event.traveller), tx)
    return CarBooked(trip_id=event.trip_id)


@rental.reacts_to(CarFailed, key="trip_id", undoes=HotelBooked)
async def take_car_back(event: CarFailed, tx: Tx) -> None:
    """Somebody else said that there is no car; if one was hired out all the same, it comes back."""
    await work.give_back(event.trip_id, tx)


@bookings.reacts_to(FlightFailed, key="trip_id")
@bookings.reacts_to(FlightCompensated, key="trip_id")
async def give_up(event: FlightFailed | FlightCompensated, tx: Tx) -> BookingFailed:
    """Tell the traveller."""
    return BookingFailed(trip_id=event.trip_id)
