"""The choreographed trip end to end: little to sell, vendors that refuse, and a hotel that crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from amends import link
from amends.examples.travel.books import balance, prepare
from amends.examples.travel.services import STOCK, refuses
from amends.examples.travel_choreographed import TravelChoreographed, airline, bookings, inn, rental
from amends.examples.travel_choreographed.messages import (
    BookingStarted,
    CarFailed,
    FlightBooked,
    HotelBooked,
)
from amends.infrastructure.embedded import Servers
from tests.conftest import DatabaseFrom
from tests.examples.choreographed import SOON, Company, company, killed, published

MODULE = "amends.examples.travel_choreographed"
VENDORS = {"flights": "airline", "hotels": "inn", "cars": "rental"}
TRIPS = 30
LIKED = next(
    trip for trip in (f"liked-{n}" for n in range(100)) if not any(refuses(v, trip) for v in VENDORS)
)
"""A trip that nobody refuses."""


class Hasty(
    TravelChoreographed, name="travel-choreographed", version=2, key="trip_id", compensate_with=CarFailed
):
    """The same with less patience for hotels."""

    hotel = link(FlightBooked, "inn", HotelBooked, within=timedelta(seconds=4), overdue="compensate")


async def nothing(url: str) -> None:
    """A database without tables."""


@pytest.fixture
async def bureau(
    request: pytest.FixtureRequest, servers: Servers, namespace: str, database_from: DatabaseFrom
) -> AsyncIterator[Company]:
    urls = {name: await database_from("empty", nothing) for name in (*VENDORS.values(), "bookings")}
    await prepare({kind: urls[name] for kind, name in VENDORS.items()})
    async with company(servers, namespace, urls, request.param) as opened:
        yield opened


async def books(bureau: Company) -> dict[str, tuple[int, int]]:
    return await balance({kind: bureau.urls[name] for kind, name in VENDORS.items()})


@pytest.mark.parametrize("bureau", [TravelChoreographed], indirect=True)
async def test_seats_and_live_bookings_are_always_what_there_was(bureau: Company) -> None:
    trips = [BookingStarted(trip_id=f"t{number}", traveller="Ada") for number in range(TRIPS)]
    async with bureau.running(airline, inn, rental, bookings):
        runs = [await bureau.client.start(TravelChoreographed, trip) for trip in trips]
        outcomes = await asyncio.gather(*(run.result(timeout=SOON) for run in runs))
    completed = outcomes.count("completed")
    found = await books(bureau)
    assert {kind: left + booked for kind, (left, booked) in found.items()} == dict(STOCK)
    assert {kind: booked for kind, (_, booked) in found.items()} == dict.fromkeys(STOCK, completed)
    assert 0 < completed <= STOCK["cars"]
    assert outcomes.count("compensated") == TRIPS - completed


@pytest.mark.parametrize("bureau", [Hasty], indirect=True)
async def test_a_hotel_that_crashes_after_booking_is_found_and_flight_and_hotel_are_released(
    bureau: Company,
) -> None:
    async with bureau.running(airline, rental, bookings):
        crashing = await bureau.dying(inn, MODULE)
        run = await bureau.client.start(Hasty, BookingStarted(trip_id=LIKED, traveller="Ada"))
        await killed(crashing)
        assert {kind: booked for kind, (_, booked) in (await books(bureau)).items()} == {
            "flights": 1, "hotels": 1, "cars": 0,
        }  # fmt: skip
        await bureau.milestone(run, "compensating")
        assert published(await bureau.history(run)) == ["rental.failed"]
        async with bureau.running(inn):
            assert await run.result(timeout=SOON) == "compensated"
            await bureau.until_recorded(run, "event.passed-over")  # the straggler, from which nothing follows
    assert await books(bureau) == {kind: (count, 0) for kind, count in STOCK.items()}
