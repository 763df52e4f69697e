"""A choreographed trip in memory: services that react to each other, an observer, and what may happen to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest

from amends.domain.history import verify
from amends.domain.inputs import Retry
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant import Participant, Rejected, Tx
from amends.participant.consumers import ACK_WAIT, consumers_of
from amends.process_managers.acting import act
from amends.process_managers.registry import Registry
from amends.testing.processes import Calm, Chooser, Move
from amends.testing.services import ServiceDatabase
from amends.testing.stepper import Stepper
from tests.domain.chains import (
    MINUTE,
    CarBooked,
    CarRefused,
    FlightBooked,
    FlightCancelled,
    HotelBooked,
    HotelCancelled,
    HotelRefused,
    Trip,
    TripBegun,
)
from tests.participant.rooms import note

SECOND = timedelta(seconds=1)
TRIPS = ("t1", "carless2", "t3", "carless4")
LATE = MINUTE + 5 * SECOND


def vendors() -> list[Participant]:
    flights, hotels, cars = Participant("flights"), Participant("hotels"), Participant("cars")

    @flights.reacts_to(TripBegun, key="trip_id")
    async def book_flight(event: TripBegun, tx: Tx) -> FlightBooked:
        await note(tx, event.trip_id, "book")
        return FlightBooked(trip_id=event.trip_id)

    @flights.reacts_to(HotelCancelled, key="trip_id", undoes=TripBegun, publishes=FlightCancelled)
    @flights.reacts_to(HotelRefused, key="trip_id", undoes=TripBegun, publishes=FlightCancelled)
    async def cancel_flight(event: HotelCancelled | HotelRefused, tx: Tx) -> None:
        await note(tx, event.trip_id, "cancel")

    @hotels.reacts_to(FlightBooked, key="trip_id")
    async def book_hotel(event: FlightBooked, tx: Tx) -> HotelBooked:
        await note(tx, event.trip_id, "book")
        return HotelBooked(trip_id=event.trip_id)

    @hotels.reacts_to(CarRefused, key="trip_id", undoes=FlightBooked, publishes=HotelCancelled)
    async def cancel_hotel(event: CarRefused, tx: Tx) -> None:
        await note(tx, event.trip_id, "cancel")

    @cars.reacts_to(HotelBooked, key="trip_id", rejected=CarRefused)
    async def book_car(event: HotelBooked, tx: Tx) -> CarBooked:
        if event.trip_id.startswith("carless"):
            raise Rejected("none", "no car is left")
        await note(tx, event.trip_id, "book")
        return CarBooked(trip_id=event.trip_id)

    @cars.reacts_to(CarRefused, key="trip_id", undoes=HotelBooked)
    async def give_car_back(event: CarRefused, tx: Tx) -> None:
        await note(tx, event.trip_id, "cancel")

    return [flights, hotels, cars]


class Road:
    """The vendors and the observer, as programs that can be killed, and what each vendor did for a trip."""

    def __init__(self, chooser: Chooser | None = None) -> None:
        self.stepper = Stepper(chooser=chooser)
        self.vendors = {each.name: each for each in vendors()}
        self.programs = [*self.vendors, "observer"]
        self.databases = {name: ServiceDatabase(self.stepper.clock) for name in self.vendors}
        for name in self.vendors:
            self.start(name)
        self.observe()

    def start(self, name: str) -> None:
        """A vendor opens, or opens again after it was killed."""
        vendor = self.vendors[name]
        self.stepper.participant(name, vendor.handlers, self.databases[name], vendor.reactions)
        self.stepper.settle()

    def observe(self) -> None:
        self.stepper.worker("observer", [Trip.definition])
        self.stepper.settle()

    def open(self, program: str) -> None:
        """Start the program unless it runs."""
        if program in self.stepper.processes and self.stepper.processes[program].alive:
            return
        if program == "observer":
            self.observe()
        else:
            self.start(program)

    def begin(self, trip_id: str = "t1") -> None:
        body = TripBegun(trip_id=trip_id).model_dump_json().encode()
        self.stepper.publish("trips.begun", f"begin-{trip_id}", body)
        self.stepper.settle()

    def retry(self, trip_id: str) -> None:
        """An operator asks for what the trip waits for."""
        stepper = self.stepper
        action = Retry("person-1", "the phone rang", "")
        acting = act(
            stepper.store,
            stepper.broker.publisher(),
            Registry([Trip.definition]),
            stepper.namespace,
            stepper.id("trip", trip_id),
            action,
        )
        stepper.complete(acting)

    def effects(self, trip_id: str = "t1") -> dict[str, list[str]]:
        return {
            name: [what for trip, what in database.tables.effects if trip == trip_id]
            for name, database in self.databases.items()
        }

    def told(self, trip_id: str = "t1") -> list[str]:
        history = self.stepper.history(self.stepper.id("trip", trip_id))
        verify(history)
        return [each.event.type for each in history]

    def events(self) -> list[str]:
        return [subject(each) for each in self.stepper.published("events")]

    def is_whole_or_nothing(self, trip_id: str) -> None:
        """All that was booked stays, or nothing does, and the observer knows which."""
        effects = self.effects(trip_id)
        if self.status(trip_id) == "completed":
            assert effects == {"flights": ["book"], "hotels": ["book"], "cars": ["book"]}
        else:
            assert self.status(trip_id) == "compensated"
            assert all(each in ([], ["book", "cancel"]) for each in effects.values()), effects

    def status(self, trip_id: str = "t1") -> str:
        [row] = self.stepper.complete(self.stepper.store.saga_rows(saga_id=self.stepper.id("trip", trip_id)))
        return row.status


def subject(message: Incoming) -> str:
    return message.subject.removeprefix("test.evt.")


@pytest.fixture
def road() -> Iterator[Road]:
    made = Road()
    yield made
    made.stepper.close()


@pytest.mark.semantics("choreography", "choreography-observer")
def test_services_go_on_from_each_others_events_and_the_observer_records_it(road: Road) -> None:
    road.begin()
    assert road.effects() == {"flights": ["book"], "hotels": ["book"], "cars": ["book"]}
    assert (road.status(), road.told()[-1]) == ("completed", "saga.completed")


@pytest.mark.semantics("choreography")
def test_without_a_car_the_hotel_is_cancelled_and_then_the_flight(road: Road) -> None:
    road.begin("carless")
    assert road.effects("carless") == {
        "flights": ["book", "cancel"],
        "hotels": ["book", "cancel"],
        "cars": [],
    }
    assert road.events()[-3:] == ["cars.refused", "hotels.cancelled", "flights.cancelled"]
    assert road.status("carless") == "compensated"


def crash_between_transaction_and_event(road: Road, vendor: str) -> None:
    """The vendor dies when it has committed, and before anything of that is published."""
    database = road.databases[vendor]
    database.committed = lambda claims, effects: dying() if effects else None

    def dying() -> None:
        database.committed = lambda claims, effects: None
        road.stepper.processes[vendor].kill()

    road.begin()
    assert road.effects()[vendor] == ["book"]


def forget(road: Road, vendor: str) -> None:
    """The vendor believes that its event was published, and has acknowledged what it reacted to."""
    road.databases[vendor].tables.unpublished.clear()
    participant = road.vendors[vendor]
    inbox = road.stepper.broker.inbox(
        consumers_of(vendor, "test", participant.handlers, participant.reactions)
    )
    road.stepper.advance(timedelta(seconds=ACK_WAIT))
    road.stepper.complete(inbox.acknowledge(road.stepper.complete(inbox.receive(10, 0))))


@pytest.mark.semantics("choreography-silence")
def test_a_service_that_crashed_between_its_transaction_and_its_event_is_found(road: Road) -> None:
    crash_between_transaction_and_event(road, "flights")
    road.stepper.advance(LATE)
    assert road.told()[-2:] == ["wait.timed-out", "wait.parked"]
    [flagged] = [each for each in road.stepper.published("sagas") if each.subject.endswith("parked")]
    assert b"between its transaction and its event" in flagged.body


@pytest.mark.semantics("choreography-silence")
def test_a_service_that_comes_back_tells_from_its_outbox_and_the_chain_goes_on(road: Road) -> None:
    crash_between_transaction_and_event(road, "flights")
    road.stepper.advance(LATE)
    road.start("flights")
    road.stepper.advance(LATE)
    assert (road.status(), road.effects()["flights"]) == ("completed", ["book"])


@pytest.mark.semantics("choreography-republish")
def test_what_the_broker_lost_is_published_again_on_request(road: Road) -> None:
    crash_between_transaction_and_event(road, "cars")
    forget(road, "cars")
    road.start("cars")
    road.stepper.advance(SECOND)
    assert "cars.booked" not in road.events()
    road.stepper.advance(LATE)
    assert "cars.republish-requested" in road.events()
    assert (road.status(), road.effects()["cars"]) == ("completed", ["book"])


@pytest.mark.semantics("choreography-compensate", "choreography-straggler")
def test_a_silent_service_has_its_chain_undone_and_its_straggler_cannot_carry_on(road: Road) -> None:
    crash_between_transaction_and_event(road, "hotels")
    road.stepper.advance(LATE)
    assert road.status() == "compensating"
    road.start("hotels")
    road.stepper.advance(LATE)
    assert "hotels.booked" in road.events(), "the straggler: its outbox tells it when it is back"
    assert road.effects() == {"flights": ["book", "cancel"], "hotels": ["book", "cancel"], "cars": []}
    assert road.status() == "compensated"
    assert "event.passed-over" in road.told()


@pytest.mark.semantics("choreography-compensate")
def test_a_compensating_event_that_the_broker_lost_is_published_again_when_somebody_asks(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one message that was acknowledged and is gone: no position in the stream tells of it."""
    store = road.stepper.broker.store
    is_lost = [True]

    def losing(message: Outgoing) -> str:
        if is_lost[0] and message.subject.endswith("cars.refused"):
            return ""
        return store(message)

    monkeypatch.setattr(road.stepper.broker, "store", losing)
    road.stepper.kill("hotels")
    road.begin()
    road.stepper.advance(LATE)
    road.start("hotels")
    road.stepper.advance(2 * LATE)
    assert (road.status(), road.effects()["flights"]) == ("compensating", ["book"])
    is_lost[0] = False
    road.retry("t1")
    road.stepper.advance(LATE)
    assert (road.status(), road.effects()["flights"]) == ("compensated", ["book", "cancel"])


@pytest.mark.semantics("choreography-straggler")
def test_a_service_that_never_had_its_turn_is_closed_to_the_chain_too(road: Road) -> None:
    road.stepper.kill("hotels")
    road.begin()
    road.stepper.advance(LATE)
    road.start("hotels")
    road.stepper.advance(LATE)
    assert road.effects()["cars"] == []
    assert road.effects()["flights"] == ["book", "cancel"]
    assert road.effects()["hotels"] in ([], ["book", "cancel"])
    assert road.status() == "compensated"


@pytest.mark.semantics("choreography-observer")
def test_a_chain_goes_on_without_its_observer_which_catches_up(road: Road) -> None:
    road.stepper.kill("observer")
    road.begin()
    assert road.effects()["cars"] == ["book"]
    road.observe()
    assert road.status() == "completed"


def test_events_that_the_broker_lost_are_told_again_and_the_chain_goes_on(road: Road) -> None:
    road.stepper.kill("cars")
    road.begin()
    road.stepper.lose("events")
    road.stepper.advance(LATE)
    road.start("cars")
    road.stepper.advance(LATE)
    assert road.effects() == {"flights": ["book"], "hotels": ["book"], "cars": ["book"]}
    assert road.status() == "completed"


@pytest.mark.semantics("choreography-straggler", "choreography-observer")
@pytest.mark.parametrize("seed", range(12))
def test_whatever_dies_and_when_every_trip_is_booked_whole_or_not_at_all(road: Road, seed: int) -> None:
    chance = Random(seed)
    for trip in TRIPS:
        road.begin(trip)
        for _ in range(3):
            victim = chance.choice(road.programs)
            if victim in road.stepper.processes:
                road.stepper.kill(victim)
            road.stepper.advance(SECOND * chance.choice((1, 20, 70)))
            if chance.random() < 0.7:
                road.open(victim)
    for program in road.programs:
        road.open(program)
    road.stepper.advance(5 * MINUTE)
    for trip in TRIPS:
        road.is_whole_or_nothing(trip)


class Deadly(Calm):
    """Any call to the outside world may be the last one, as long as it is told so."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.strikes = True
        self.deaths = 0

    def at(self, program: str, label: str) -> Move:
        dies = self.strikes and self.chance.random() < 0.02
        self.deaths += dies
        return Move.DIE if dies else Move.PASS


@pytest.mark.semantics("choreography-promises", "choreography-straggler")
@pytest.mark.parametrize("seed", range(12))
def test_wherever_programs_die_every_trip_is_booked_whole_or_not_at_all(seed: int) -> None:
    deadly = Deadly(seed)
    deadly.strikes = False
    road = Road(deadly)
    deadly.strikes = True
    for trip in TRIPS:
        road.begin(trip)
        for _ in range(10):
            road.stepper.advance(SECOND * deadly.chance.choice((1, 8, 40)))
            for program in road.programs:
                road.open(program)
    deadly.strikes = False
    for program in road.programs:
        road.open(program)
    road.stepper.advance(5 * MINUTE)
    for trip in TRIPS:
        road.is_whole_or_nothing(trip)
    assert deadly.deaths > len(TRIPS), "or nothing was tried"
    road.stepper.close()


def test_an_event_that_comes_before_the_start_is_kept(road: Road) -> None:
    for vendor in road.vendors:
        road.stepper.kill(vendor)
    road.stepper.publish("flights.booked", "early", b'{"trip_id": "t1"}')
    road.stepper.settle()
    road.begin()
    road.stepper.advance(SECOND)
    assert road.told().count("wait.succeeded") == 1
