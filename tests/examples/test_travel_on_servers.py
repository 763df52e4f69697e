"""The travel example end to end: many trips, little to sell, and nothing lost or sold twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from amends import Client, Participant, Saga, Settings, Worker
from amends.examples.travel import Travel, TravelInOrder, cars, flights, hotels
from amends.examples.travel.books import balance, prepare
from amends.examples.travel.messages import TripRequested
from amends.examples.travel.services import STOCK
from amends.infrastructure.embedded import Servers
from tests.conftest import DatabaseFrom

TRIPS = 30
SOON = timedelta(seconds=60)
VENDORS: Mapping[str, Participant[None]] = {"flights": flights, "hotels": hotels, "cars": cars}


async def nothing(url: str) -> None:
    """A database without tables."""


@pytest.mark.parametrize("saga", [Travel, TravelInOrder])
async def test_seats_and_live_bookings_are_always_what_there_was(
    servers: Servers, namespace: str, database_from: DatabaseFrom, saga: type[Saga[TripRequested]]
) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    urls = {vendor: await database_from("empty", nothing) for vendor in STOCK}
    await prepare(urls)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(settings))
        await stack.enter_async_context(Worker([saga], settings))
        for vendor, participant in VENDORS.items():
            await stack.enter_async_context(participant.running(settings, database_url=urls[vendor]))
        trips = [TripRequested(trip_id=f"t{number}", traveller="Ada") for number in range(TRIPS)]
        runs = await client.start_many(saga, trips)
        outcomes = await asyncio.gather(*(run.result(timeout=SOON) for run in runs))
    completed = outcomes.count("completed")
    books = await balance(urls)
    assert {vendor: left + booked for vendor, (left, booked) in books.items()} == dict(STOCK)
    assert {vendor: booked for vendor, (_, booked) in books.items()} == dict.fromkeys(STOCK, completed)
    assert 0 < completed <= STOCK["cars"]
    assert outcomes.count("compensated") == TRIPS - completed
