"""A participant at work: receive, answer, publish, acknowledge; until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from amends.domain import wire
from amends.infrastructure.broker import streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.groups import only
from amends.infrastructure.nats import Broker, BrokerWatch
from amends.infrastructure.postgres.attentive import AttentiveConnection
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.marks import PostgresMarks
from amends.infrastructure.postgres.relay import Relay
from amends.infrastructure.settings import Settings
from amends.participant.batches import Batches, Loop
from amends.participant.consumers import consumers_of

if TYPE_CHECKING:
    from amends.participant.participant import Participant

_GRACE: Final = timedelta(seconds=5)
_FORGET_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a participant runs: its own database, the broker, the tenant, how long streams keep messages."""

    database_url: str
    nats_url: str
    namespace: str
    stream_max_age: timedelta


@asynccontextmanager
async def place(name: str, settings: Settings) -> AsyncIterator[Place]:
    """The servers that the settings name; embedded ones where they name none."""
    async with Servers(settings) as servers:
        database_url = await servers.participant_database(name)
        max_age = timedelta(days=settings.stream_max_age)
        yield Place(database_url, servers.nats_url, settings.namespace, max_age)


class Running:
    """A participant that runs. `stop` has it finish the batch at hand."""

    def __init__(self, participant: Participant[Any]) -> None:
        self._participant = participant
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Finish the batch at hand, take no other, and end."""
        self._stopping.set()

    async def stopped(self) -> None:
        """Returns when `stop` was called."""
        await self._stopping.wait()

    @asynccontextmanager
    async def serving(self, where: Place) -> AsyncIterator[None]:
        """Serve beside the body, which begins when commands are taken; leaving it stops."""
        try:
            async with asyncio.TaskGroup() as group:
                serve = group.create_task(self.serve(where), name="amends-participant")
                ready = asyncio.ensure_future(self.ready.wait())
                await asyncio.wait((serve, ready), return_when=asyncio.FIRST_COMPLETED)
                try:
                    yield
                finally:
                    ready.cancel()
                    self.stop()
                    await asyncio.wait((serve,))
        except BaseExceptionGroup as group:
            raise only(group) from group

    async def serve(self, where: Place) -> None:
        """Run until `stop`; `ready` is set when commands are taken."""
        participant = self._participant
        await participant.migrate(where.database_url)
        name = f"participant-{participant.name}"
        consumers = consumers_of(
            participant.name,
            where.namespace,
            participant.handlers,
            participant.reactions,
            participant.ack_wait.total_seconds(),
        )
        async with (
            Link(where.database_url, name=name, kind=AttentiveConnection) as work,
            Link(where.database_url, name=f"{name}-outbox", durable=False) as notes,
            Broker(where.nats_url, name=name, namespace=where.namespace) as broker,
        ):
            limit = min(wire.MAX_MESSAGE, broker.client.max_payload)
            desk = participant.desk(where.namespace, limit)
            publisher = broker.publisher()
            relay = Relay(notes, participant.outbox, publisher, grace=_GRACE, keep=participant.keep_published)
            published_on = {wire.stream(where.namespace, what) for what in ("events", "dead")}

            async def lost(names: set[str]) -> None:
                if names & published_on:
                    await relay.lost()

            marks = PostgresMarks(notes, participant.schema)
            specs = streams(where.namespace, where.stream_max_age)
            async with (
                BrokerWatch(broker, specs, consumers, marks, lost) as watch,
                broker.inbox(consumers) as inbox,
            ):
                loop = Loop(Batches(desk, work), relay, inbox, participant.batch, participant.probe)
                await self._until_stopped(loop, relay, watch, notes)
            await publisher.close()

    async def _until_stopped(self, loop: Loop, relay: Relay, watch: BrokerWatch, notes: Link) -> None:
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(relay.run(), name="amends-participant-outbox"),
                group.create_task(watch.wait(), name="amends-participant-watch"),
                group.create_task(self._forget(notes), name="amends-participant-forget"),
            ]
            self.ready.set()
            await loop.run(self._stopping)
            for task in beside:
                task.cancel()

    async def _forget(self, link: Link) -> None:
        ledger = self._participant.ledger
        while True:
            while await link.run(ledger.forget):
                pass
            try:
                async with asyncio.timeout(_FORGET_EVERY.total_seconds()):
                    await self._stopping.wait()
            except TimeoutError:
                continue
            return
