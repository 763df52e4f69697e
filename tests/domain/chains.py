"""A choreographed trip, and an observer of it that is told what happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amends import Choreography, Event, link
from amends.domain import events as e
from amends.domain.decide import decide
from amends.domain.evolve import evolve
from amends.domain.identity import saga_id
from amends.domain.inputs import Input
from amends.domain.state import SagaState
from amends.domain.told import Arrival, Start, Tick

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class TripBegun(Event, subject="trips.begun"):
    trip_id: str


class FlightBooked(Event, subject="flights.booked"):
    trip_id: str


class HotelBooked(Event, subject="hotels.booked"):
    trip_id: str


class CarBooked(Event, subject="cars.booked"):
    trip_id: str


class CarRefused(Event, subject="cars.refused"):
    trip_id: str


class HotelRefused(Event, subject="hotels.refused"):
    trip_id: str


class HotelCancelled(Event, subject="hotels.cancelled"):
    trip_id: str


class FlightCancelled(Event, subject="flights.cancelled"):
    trip_id: str


class Trip(
    Choreography,
    name="trip",
    version=1,
    key="trip_id",
    compensate_with=CarRefused,
    deadline=timedelta(hours=1),
):
    """A flight, a hotel, a car: each after the one before; without a car the hotel is cancelled, then the flight."""

    flight = link(TripBegun, "flights", FlightBooked, within=MINUTE)
    hotel = link(FlightBooked, "hotels", HotelBooked, within=MINUTE, overdue="compensate")
    car = link(HotelBooked, "cars", CarBooked, within=MINUTE, overdue="republish")
    hotel_back = link(CarRefused, "hotels", HotelCancelled, within=MINUTE, compensating=True)
    flight_back = link(
        (HotelCancelled, HotelRefused),
        "flights",
        FlightCancelled,
        within=MINUTE,
        overdue="republish",
        compensating=True,
    )


class Play:
    """One trip, told from its beginning on. `now` only moves by `pass_`."""

    def __init__(self, chain: type[Choreography] = Trip) -> None:
        self.definition = chain.definition
        self.now = T0
        self.events: list[e.SagaEvent] = []
        self.state: SagaState | None = None
        self._id = saga_id("amends", self.definition.name, "t1")
        self.tell(Start("start", self._id, "amends", "t1", "trips.begun", {"trip_id": "t1"}))

    @property
    def known(self) -> SagaState:
        assert self.state is not None
        return self.state

    def tell(self, given: Input) -> list[str]:
        """The types of the events that this leads to."""
        events = decide(self.definition, self._id, self.state, given, self.now, "worker")
        for event in events:
            self.state = evolve(self.state, event, self._id)
        self.events += events
        assert not decide(self.definition, self._id, self.state, given, self.now, "worker"), "applied twice"
        return [event.type for event in events]

    def hear(self, *events: type[Event], again: str = "") -> list[str]:
        """The events of the trip, one after the other; those that the last of them leads to."""
        recorded: list[str] = []
        for event in events:
            body = event.model_validate({"trip_id": "t1"}).model_dump_json().encode()
            recorded = self.tell(Arrival(event.subject + again, event.subject, body))
        return recorded

    def pass_(self, duration: timedelta) -> list[str]:
        """Time passes, and what falls due is applied."""
        before = len(self.events)
        end = self.now + duration
        while self.known.wake_up is not None and self.known.wake_up <= end:
            self.now = self.known.wake_up
            self.tell(Tick())
        self.now = end
        return [event.type for event in self.events[before:]]

    def waits(self) -> list[str]:
        return [step.name for step, _ in self.known.waits()]

    def parked(self) -> list[str]:
        return [step.name for step, wait in self.known.waits() if wait.parked]

    def published(self) -> list[tuple[str, e.JsonObject]]:
        return [(each.subject, each.event) for each in self.events if isinstance(each, e.EventPublished)]
