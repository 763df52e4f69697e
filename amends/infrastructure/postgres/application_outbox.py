"""An outbox in an application's own database, and what publishes it while the application's client runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from amends.infrastructure.broker import StreamSpec
from amends.infrastructure.groups import only
from amends.infrastructure.nats import Broker, BrokerWatch
from amends.infrastructure.ports import Publisher
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.marks import PostgresMarks
from amends.infrastructure.postgres.outbox import Outbox, migrate_outbox
from amends.infrastructure.postgres.reaching import reaching
from amends.infrastructure.postgres.relay import Relay

SCHEMA: Final = "amends_outbox"


@asynccontextmanager
async def application_outbox(
    url: str, broker: Broker, publisher: Publisher, streams: Sequence[StreamSpec], events: str
) -> AsyncIterator[Outbox]:
    """The outbox in the database at `url`; what commits there is published to the stream `events`.

    What the broker loses of it is published again. Several clients may serve one outbox.
    Raises DatabaseUnreachable.
    """
    with reaching("Client(outbox_url=…)"):
        await migrate_outbox(url, SCHEMA)
    outbox = Outbox(SCHEMA)
    async with Link(url, name="amends-client-outbox") as link:
        relay = Relay(link, outbox, publisher)

        async def lost(names: set[str]) -> None:
            if events in names:
                await relay.lost()

        async with BrokerWatch(broker, streams, [], PostgresMarks(link, SCHEMA), lost) as watch:
            try:
                async with asyncio.TaskGroup() as group:
                    beside = [
                        group.create_task(relay.run()),
                        group.create_task(relay.listen(url)),
                        group.create_task(watch.wait()),
                    ]
                    try:
                        yield outbox
                        await relay.sweep()
                    finally:
                        for task in beside:
                            task.cancel()
            except BaseExceptionGroup as error:
                raise only(error) from error
