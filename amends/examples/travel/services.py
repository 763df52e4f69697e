"""The three vendors, each with a database of its own and few things to sell. Some say no for no better reason."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from amends import Done, Participant, Rejected, Tx
from amends.examples.travel.messages import (
    BookCar,
    BookFlight,
    BookHotel,
    CancelFlight,
    CancelHotel,
    CarBooked,
    FlightBooked,
    HotelBooked,
)

flights: Participant[None] = Participant("flights")
hotels: Participant[None] = Participant("hotels")
cars: Participant[None] = Participant("cars")

STOCK: Final = {"flights": 10, "hotels": 5, "cars": 3}
"""Seats, rooms and cars."""

MOODS: Final = {"flights": 10, "hotels": 15, "cars": 30}
"""Of a hundred trips, how many each vendor refuses whatever it has."""


@flights.handles(BookFlight)
async def book_flight(command: BookFlight, tx: Tx) -> FlightBooked:
    """Sell a seat."""
    return FlightBooked(seat=await take("flights", command.trip_id, tx))


@flights.handles(CancelFlight, undoes=BookFlight)
async def cancel_flight(command: CancelFlight, tx: Tx) -> Done:
    """Take the seat back."""
    return await give_back(command.trip_id, tx)


@hotels.handles(BookHotel)
async def book_hotel(command: BookHotel, tx: Tx) -> HotelBooked:
    """Let a room."""
    return HotelBooked(room=await take("hotels", command.trip_id, tx))


@hotels.handles(CancelHotel, undoes=BookHotel)
async def cancel_hotel(command: CancelHotel, tx: Tx) -> Done:
    """Free the room."""
    return await give_back(command.trip_id, tx)


@cars.handles(BookCar)
async def book_car(command: BookCar, tx: Tx) -> CarBooked:
    """Hire out a car."""
    return CarBooked(car=await take("cars", command.trip_id, tx))


def refuses(vendor: str, trip_id: str) -> bool:
    """Whether the vendor is in the mood to refuse this trip; always the same answer."""
    return crc32(f"{vendor}/{trip_id}".encode()) % 100 < MOODS[vendor]


async def take(vendor: str, trip_id: str, tx: Tx) -> str:
    """Take one from the shelf. The row's lock makes the others wait."""
    if refuses(vendor, trip_id):
        raise Rejected("refused", f"{vendor} do not want this trip")
    taken = await tx.execute("UPDATE shelf SET left_over = left_over - 1 WHERE left_over > 0")
    if taken.rowcount == 0:
        raise Rejected("sold_out", f"{vendor}: nothing is left")
    await tx.execute("INSERT INTO bookings (trip_id) VALUES (%s)", (trip_id,))
    return f"{vendor}-{trip_id}"


async def give_back(trip_id: str, tx: Tx) -> Done:
    """Put it back onto the shelf."""
    await tx.execute("DELETE FROM bookings WHERE trip_id = %s", (trip_id,))
    await tx.execute("UPDATE shelf SET left_over = left_over + 1")
    return Done()
