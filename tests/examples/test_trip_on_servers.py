"""The ride example end to end: its saga and its three services on PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from amends import Client, Settings, Worker
from amends.domain import events as e
from amends.examples.trip import Trip, dispatch, drivers, funds
from amends.examples.trip.messages import RideRequested
from amends.examples.trip.services import CLOSED, NOBODY_THERE
from amends.infrastructure.embedded import Servers
from amends.infrastructure.postgres.store import PostgresStore

SOON = timedelta(seconds=60)
RIDES = {
    "well": RideRequested(ride_id="well", rider="Ada", pickup="station", kilometres=Decimal(10)),
    "lonely": RideRequested(ride_id="lonely", rider="Ada", pickup=NOBODY_THERE, kilometres=Decimal(10)),
    "dear": RideRequested(ride_id="dear", rider="Ada", pickup="station", kilometres=Decimal(900)),
    "flooded": RideRequested(ride_id="flooded", rider="Ada", pickup=CLOSED, kilometres=Decimal(10)),
}


async def asked(store: PostgresStore, ride: UUID) -> Sequence[str]:
    """What the services were asked, in its order."""
    events = [recorded.event for recorded in await store.history(ride)]
    return [event.subject for event in events if isinstance(event, e.CommandRecorded)]


async def test_each_ride_goes_its_way_and_what_was_done_for_it_is_undone_in_reverse(
    servers: Servers, namespace: str
) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(settings))
        await stack.enter_async_context(Worker([Trip], settings))
        for participant in (drivers, funds, dispatch):
            await stack.enter_async_context(participant.running(settings))
        runs = dict(zip(RIDES, await client.start_many(Trip, RIDES.values()), strict=True))
        ends = await asyncio.gather(*(run.result(timeout=SOON) for run in runs.values()))
        store = await stack.enter_async_context(PostgresStore.open(servers.database_url, namespace))
        told = {name: await asked(store, run.id) for name, run in runs.items()}
    assert ends == ["completed", "compensated", "compensated", "compensated"]
    forward = ["drivers.match", "funds.hold", "dispatch.send"]
    assert told["well"] == forward
    assert told["lonely"] == ["drivers.match"]
    assert told["dear"] == ["drivers.match", "funds.hold", "drivers.unmatch"]
    assert told["flooded"] == [*forward, "funds.release", "drivers.unmatch"]
