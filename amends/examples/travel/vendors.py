"""The trip by the vendors' rules: holds that lapse after a day, and a flight that cannot be given back."""

from __future__ import annotations

from datetime import timedelta

from amends import Command, Saga, step
from amends.examples.travel.messages import BookFlight, TripRequested


class HoldCar(Command, subject="cars.hold"):
    trip_id: str


class ReleaseCar(Command, subject="cars.release"):
    trip_id: str


class ConfirmCar(Command, subject="cars.confirm"):
    trip_id: str


class PreauthoriseHotel(Command, subject="hotels.preauthorise"):
    trip_id: str


class VoidHotel(Command, subject="hotels.void"):
    trip_id: str


class CaptureHotel(Command, subject="hotels.capture"):
    trip_id: str


class TravelByVendorsRules(
    Saga[TripRequested],
    name="travel-by-vendors-rules",
    version=1,
    key="trip_id",
    deadline=timedelta(hours=23),
):
    """Hold a car, pre-authorise the hotel, book the flight; then capture the hotel and confirm the car.

    The holds lapse after 24 hours, so the deadline comes before that: a flight that is not answered by then is
    closed, and the holds are released.
    """

    @step
    def hold_car(self) -> HoldCar:
        return HoldCar(trip_id=self.key)

    @hold_car.compensate
    def release_car(self) -> ReleaseCar:
        return ReleaseCar(trip_id=self.key)

    @step
    def preauthorise_hotel(self) -> PreauthoriseHotel:
        return PreauthoriseHotel(trip_id=self.key)

    @preauthorise_hotel.compensate
    def void_hotel(self) -> VoidHotel:
        return VoidHotel(trip_id=self.key)

    # An airline may take hours.
    @step(pivot=True, timeout=timedelta(hours=12))
    def book_flight(self) -> BookFlight:
        return BookFlight(trip_id=self.key, traveller=self.start.traveller)

    @step
    def capture_hotel(self) -> CaptureHotel:
        return CaptureHotel(trip_id=self.key)

    @step
    def confirm_car(self) -> ConfirmCar:
        return ConfirmCar(trip_id=self.key)
