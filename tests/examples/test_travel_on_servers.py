"""The travel example end to end: many trips, little to sell, and nothing lost or sold twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from amends import Client, Participant, Retry, Saga, Settings, Worker
from amends.domain.evolve import fold
from amends.examples.travel import Travel, TravelByVendorsRules, TravelInOrder, cars, flights, hotels
from amends.examples.travel.books import balance, prepare
from amends.examples.travel.messages import TripRequested
from amends.examples.travel.progress import progress
from amends.examples.travel.services import STOCK, refuses
from amends.infrastructure.embedded import Servers
from amends.infrastructure.postgres.store import PostgresStore
from amends.projections.story import standing
from tests.conftest import DatabaseFrom

TRIPS = 30
SOON = timedelta(seconds=60)
WELCOME = next(name for name in map(str, range(1000)) if not any(refuses(each, name) for each in STOCK))
"""A trip that every vendor likes."""
VENDORS: Mapping[str, Participant[None]] = {"flights": flights, "hotels": hotels, "cars": cars}


async def nothing(url: str) -> None:
    """A database without tables."""


class HastyTravel(
    TravelByVendorsRules,
    name="travel-by-vendors-rules",
    version=2,
    key="trip_id",
    deadline=timedelta(seconds=2),
):
    """A day in which an hour is no longer than a tenth of a second."""

    book_flight = TravelByVendorsRules.book_flight.with_options(
        timeout=timedelta(milliseconds=500), retry=Retry(attempts=100, delay=timedelta(milliseconds=100))
    )


@dataclass
class Agency:
    """A worker and a client, and the vendors' databases."""

    settings: Settings
    client: Client
    store: PostgresStore
    urls: Mapping[str, str]
    stack: AsyncExitStack

    async def opens(self, *vendors: str) -> None:
        """From here on these vendors answer."""
        for vendor in vendors:
            running = VENDORS[vendor].running(self.settings, database_url=self.urls[vendor])
            await self.stack.enter_async_context(running)

    async def told(self, trip: UUID) -> dict[str, str]:
        """What the traveller is told."""
        history = await self.store.history(trip)
        state = fold((recorded.event for recorded in history), trip)
        steps = [step.name for step in TravelByVendorsRules.definition.steps]
        return {} if state is None else progress(standing(state, len(history), steps))

    async def until_told(self, trip: UUID, thing: str, word: str) -> None:
        """Returns when the traveller is told so."""
        async with asyncio.timeout(SOON.total_seconds()):
            while (await self.told(trip)).get(thing) != word:  # noqa: ASYNC110 - the store does not signal
                await asyncio.sleep(0.02)


@pytest.fixture
async def agency(servers: Servers, namespace: str, database_from: DatabaseFrom) -> AsyncIterator[Agency]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    urls = {vendor: await database_from("empty", nothing) for vendor in STOCK}
    await prepare(urls)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(settings))
        store = await stack.enter_async_context(PostgresStore.open(servers.database_url, namespace))
        yield Agency(settings, client, store, urls, stack)


def trips(count: int) -> list[TripRequested]:
    return [TripRequested(trip_id=f"t{number}", traveller="Ada") for number in range(count)]


@pytest.mark.parametrize("saga", [Travel, TravelInOrder])
async def test_seats_and_live_bookings_are_always_what_there_was(
    agency: Agency, saga: type[Saga[TripRequested]]
) -> None:
    await agency.opens(*VENDORS)
    async with Worker([saga], agency.settings):
        runs = await agency.client.start_many(saga, trips(TRIPS))
        outcomes = await asyncio.gather(*(run.result(timeout=SOON) for run in runs))
    completed = outcomes.count("completed")
    books = await balance(agency.urls)
    assert {vendor: left + booked for vendor, (left, booked) in books.items()} == dict(STOCK)
    assert {vendor: booked for vendor, (_, booked) in books.items()} == dict.fromkeys(STOCK, completed)
    assert 0 < completed <= STOCK["cars"]
    assert outcomes.count("compensated") == TRIPS - completed


async def test_by_the_vendors_rules_what_is_held_is_confirmed_with_a_flight_and_released_without(
    agency: Agency,
) -> None:
    await agency.opens(*VENDORS)
    async with Worker([TravelByVendorsRules], agency.settings):
        runs = await agency.client.start_many(TravelByVendorsRules, trips(TRIPS))
        outcomes = await asyncio.gather(*(run.result(timeout=SOON) for run in runs))
        ends = dict(zip((run.id for run in runs), outcomes, strict=True))
        told = [await agency.told(trip) for trip, end in ends.items() if end == "completed"]
    completed = outcomes.count("completed")
    books = await balance(agency.urls)
    assert {vendor: left + booked for vendor, (left, booked) in books.items()} == dict(STOCK)
    assert {vendor: booked for vendor, (_, booked) in books.items()} == dict.fromkeys(STOCK, completed)
    assert await lapsing(agency.urls) == 0
    assert told == [{"car": "yours", "hotel": "yours", "flight": "yours"}] * completed
    assert 0 < completed < TRIPS


async def test_an_airline_that_is_too_slow_has_its_flight_closed_and_then_all_holds_are_released(
    agency: Agency,
) -> None:
    await agency.opens("cars", "hotels")
    async with Worker([HastyTravel], agency.settings):
        run = await agency.client.start(HastyTravel, TripRequested(trip_id=WELCOME, traveller="Ada"))
        await agency.until_told(run.id, "flight", "being closed")
        told = await agency.told(run.id)
        assert (told["car"], told["hotel"], await lapsing(agency.urls)) == ("held for you", "held for you", 2)
        await agency.opens("flights")
        assert await run.result(timeout=SOON) == "compensated"
        assert await agency.told(run.id) == {
            "car": "released",
            "hotel": "released",
            "flight": "not booked",
        }
    assert await balance(agency.urls) == {vendor: (stock, 0) for vendor, stock in STOCK.items()}


async def lapsing(urls: Mapping[str, str]) -> int:
    """How many things are only held."""
    found = 0
    for vendor in ("cars", "hotels"):
        async with await AsyncConnection.connect(urls[vendor]) as tx:
            cursor = await tx.execute("SELECT count(*) FROM bookings WHERE held_until IS NOT NULL")
            found += sum(row[0] for row in await cursor.fetchall())
    return found
