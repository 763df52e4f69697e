"""What the vendors hold for a day, until it is confirmed: a car, and a room with its price on the card."""

from __future__ import annotations

from amends import Done, Tx
from amends.examples.travel.services import cars, give_back, hotels, take
from amends.examples.travel.vendors import (
    CaptureHotel,
    ConfirmCar,
    HoldCar,
    PreauthoriseHotel,
    ReleaseCar,
    VoidHotel,
)


@cars.handles(HoldCar)
async def hold_car(command: HoldCar, tx: Tx) -> Done:
    """Keep a car for the traveller."""
    return await _hold("cars", command.trip_id, tx)


@cars.handles(ReleaseCar, undoes=HoldCar)
async def release_car(command: ReleaseCar, tx: Tx) -> Done:
    """Offer the car to others again."""
    return await give_back(command.trip_id, tx)


@cars.handles(ConfirmCar)
async def confirm_car(command: ConfirmCar, tx: Tx) -> Done:
    """The car is the traveller's."""
    return await _confirm(command.trip_id, tx)


@hotels.handles(PreauthoriseHotel)
async def preauthorise_hotel(command: PreauthoriseHotel, tx: Tx) -> Done:
    """Keep a room, and reserve its price on the card."""
    return await _hold("hotels", command.trip_id, tx)


@hotels.handles(VoidHotel, undoes=PreauthoriseHotel)
async def void_hotel(command: VoidHotel, tx: Tx) -> Done:
    """Offer the room to others again, and let the money go."""
    return await give_back(command.trip_id, tx)


@hotels.handles(CaptureHotel)
async def capture_hotel(command: CaptureHotel, tx: Tx) -> Done:
    """Take the money; the room is the traveller's."""
    return await _confirm(command.trip_id, tx)


async def _hold(vendor: str, trip_id: str, tx: Tx) -> Done:
    await take(vendor, trip_id, tx)
    await tx.execute(
        "UPDATE bookings SET held_until = now() + interval '24 hours' WHERE trip_id = %s", (trip_id,)
    )
    return Done()


async def _confirm(trip_id: str, tx: Tx) -> Done:
    await tx.execute("UPDATE bookings SET held_until = NULL WHERE trip_id = %s", (trip_id,))
    return Done()
