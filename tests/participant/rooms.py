"""A hotel that reacts to events, on a database of either kind, and events for it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

from psycopg import AsyncConnection

from amends.domain import wire
from amends.domain.choreography.republishing import republish_request
from amends.domain.messages import Event
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant import Failed, Participant, Rejected, Tx
from amends.participant.answers import Writer
from amends.participant.desk import Answered, Desk
from amends.testing.processes import Process
from amends.testing.services import Connection, ServiceDatabase, ServiceLedger, ServiceOutbox
from tests.participant.service import NAMESPACE

_count = itertools.count(1)


class FlightBooked(Event, subject="flights.booked"):
    trip_id: str
    behave: str = "well"


class HotelBooked(Event, subject="hotels.booked"):
    trip_id: str
    room: int


class HotelRefused(Event, subject="hotels.refused"):
    trip_id: str


class NothingHeard(Event, subject="hotels.nothing-heard"):
    trip_id: str


class Numbered(Event, subject="hotels.numbered"):
    trip_id: int


class CarRefused(Event, subject="cars.refused"):
    trip_id: str
    behave: str = "well"


class HotelCancelled(Event, subject="hotels.cancelled"):
    trip_id: str


class TripEnded(Event, subject="trips.ended"):
    trip_id: str


def hotels(**options: Any) -> Participant:
    participant = Participant("hotels", **options)

    @participant.reacts_to(FlightBooked, key="trip_id")
    async def book(event: FlightBooked, tx: Tx) -> HotelBooked | None:
        await note(tx, event.trip_id, "book")
        misbehave(event.behave, event.trip_id)
        return None if event.behave == "silently" else HotelBooked(trip_id=event.trip_id, room=7)

    @participant.reacts_to(CarRefused, key="trip_id", undoes=FlightBooked, publishes=HotelCancelled)
    async def cancel(event: CarRefused, tx: Tx) -> HotelCancelled:
        await note(tx, event.trip_id, "cancel")
        misbehave(event.behave, event.trip_id)
        return HotelCancelled(trip_id=event.trip_id)

    @participant.reacts_to(TripEnded)
    async def tidy(event: TripEnded, tx: Tx) -> None:
        await note(tx, event.trip_id, "tidy")

    return participant


def misbehave(how: str, trip_id: str) -> None:
    match how:
        case "refuse":
            raise Rejected("full", "no room is left", event=HotelRefused(trip_id=trip_id))
        case "refuse silently":
            raise Rejected("full", "no room is left")
        case "fail":
            raise Failed("busy", "the desk is busy")
        case "break":
            raise ZeroDivisionError("a bug")
        case _:
            pass


async def note(tx: Any, trip_id: str, what: str) -> None:
    """Leave a trace in the database that the transaction is of."""
    if isinstance(tx, Connection):
        tx.effects.append((trip_id, what))
    else:
        await tx.execute("INSERT INTO effects VALUES (%s, %s)", [trip_id, what])


def event(
    told: Event,
    *,
    ago: timedelta = timedelta(0),
    deliveries: int = 1,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Incoming:
    """An event as another service publishes it; `ago` is when."""
    now = datetime.now(UTC)
    sequence = next(_count)
    given = {wire.CE_ID: f"event-{sequence}", wire.CE_TIME: (now - ago).isoformat(), **(headers or {})}
    subject = wire.event_subject(NAMESPACE, told.subject)
    content = told.model_dump_json().encode() if body is None else body
    return Incoming(subject, given, content, now, sequence, deliveries)


def booked(trip_id: str = "t1", behave: str = "well", **options: Any) -> Incoming:
    return event(FlightBooked(trip_id=trip_id, behave=behave), **options)


def refused(trip_id: str = "t1", behave: str = "well", **options: Any) -> Incoming:
    return event(CarRefused(trip_id=trip_id, behave=behave), **options)


def republish(after: type[Event], trip_id: str = "t1") -> Incoming:
    return event(republish_request("hotels")(key=trip_id, after=after.subject))


class Hotel(Protocol):
    """The participant's core on a database of either kind."""

    participant: Participant

    async def hear(self, *messages: Incoming) -> Answered: ...

    async def effects(self, trip_id: str = "t1") -> list[str]: ...


@dataclass(slots=True)
class RealHotel:
    """On PostgreSQL."""

    connection: AsyncConnection
    participant: Participant = field(default_factory=hotels)

    async def hear(self, *messages: Incoming) -> Answered:
        return await self.participant.desk(NAMESPACE).answer(self.connection, messages)

    async def effects(self, trip_id: str = "t1") -> list[str]:
        query = "SELECT kind FROM effects WHERE order_id = %s ORDER BY kind"
        cursor = await self.connection.execute(query, [trip_id])
        return [row[0] for row in await cursor.fetchall()]


class Alive:
    """A program that nothing happens to."""

    async def gate(self, label: str) -> None: ...


@dataclass(slots=True)
class MemoryHotel:
    """In memory."""

    database: ServiceDatabase
    participant: Participant = field(default_factory=hotels)

    async def hear(self, *messages: Incoming) -> Answered:
        writer = Writer(NAMESPACE, "hotels", wire.MAX_MESSAGE)
        given = self.participant
        desk = Desk(writer, given.handlers, ServiceLedger(), ServiceOutbox(), reactions=given.reactions)
        return await desk.answer(Connection(self.database, cast(Process, Alive())), messages)

    async def effects(self, trip_id: str = "t1") -> list[str]:
        return sorted(what for trip, what in self.database.tables.effects if trip == trip_id)


def told(messages: Sequence[Outgoing]) -> list[tuple[str, dict[str, Any]]]:
    """What was published: subjects without namespace, and bodies."""
    return [(each.subject.removeprefix(f"{NAMESPACE}.evt."), json.loads(each.body)) for each in messages]


async def hears(hotel: Hotel, *messages: Incoming) -> list[tuple[str, dict[str, Any]]]:
    """What the hotel publishes because of these."""
    return told([each.message for each in (await hotel.hear(*messages)).recorded])
