"""The rows and messages of real sagas, so that what the machine can do alone is measured with the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import psycopg

from amends import Settings
from amends.cli.bench import programs
from amends.cli.bench.cleaning import remove
from amends.cli.bench.load import Load
from amends.domain import wire
from amends.infrastructure.embedded import Servers
from benchmarks.jetstream import JetStream

_ORDERS: Final = 100


@dataclass(frozen=True)
class Sample:
    """What a hundred order sagas left: their events, and the messages about them with their header blocks."""

    orders: int
    events: list[tuple[UUID, int, str, bytes]]
    messages: list[tuple[str, bytes]]


async def sample(settings: Settings) -> Sample:
    """Run a hundred orders with the echo service, and take what they wrote."""
    own = settings.model_copy(update={"namespace": "bench_sample"})
    async with Servers(own) as servers:
        async with programs.running(own, programs.ECHO, programs.WORKER), Load.open(own) as load:
            await load.at_once(_ORDERS)
        async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
            found = await connection.execute(
                "SELECT originator_id, originator_version, topic, state FROM bench_sample.events ORDER BY 1, 2"
            )
            events = await found.fetchall()
        messages = [
            message
            for what in ("events", "commands", "sagas")
            for message in await _messages(servers.nats_url, wire.stream(own.namespace, what))
        ]
        await remove(servers.database_url, servers.nats_url, own.namespace)
    return Sample(_ORDERS, events, messages)


async def _messages(url: str, stream: str) -> list[tuple[str, bytes]]:
    """Header blocks without the id, and bodies."""
    found: list[tuple[str, bytes]] = []
    async with JetStream.connect(url) as jetstream:
        total = await jetstream.count(stream)
        await jetstream.consume(stream)
        while len(found) < total:
            for message in await jetstream.receive(total):
                lines = message.headers.decode().split("\r\n")[1:-2]
                kept = [f"{line}\r\n" for line in lines if not line.startswith(wire.NATS_MSG_ID)]
                found.append(("".join(kept), message.body))
    return found
