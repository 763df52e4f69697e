"""A participant at work: receive, answer, publish, acknowledge; until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import AsyncConnection

from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.groups import only
from amends.infrastructure.nats import Broker, BrokerWatch
from amends.infrastructure.ports import Inbox, Incoming
from amends.infrastructure.postgres.link import Link, is_transient
from amends.infrastructure.postgres.marks import PostgresMarks
from amends.infrastructure.postgres.outbox import Recorded
from amends.infrastructure.postgres.relay import Relay
from amends.infrastructure.settings import Settings
from amends.participant.desk import Desk

if TYPE_CHECKING:
    from amends.participant.participant import Participant

_LOG: Final = logging.getLogger("amends.participant")
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
        consumer = ConsumerSpec(
            stream=wire.stream(where.namespace, "commands"),
            durable=name,
            ack_wait=participant.ack_wait.total_seconds(),
            filter_subjects=tuple(
                wire.command_subject(where.namespace, subject) for subject in participant.handlers.subjects()
            ),
        )
        async with (
            Link(where.database_url, name=name) as work,
            Link(where.database_url, name=f"{name}-outbox", durable=False) as notes,
            Broker(where.nats_url, name=name, namespace=where.namespace) as broker,
        ):
            limit = min(wire.MAX_BODY, broker.client.max_payload)
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
                BrokerWatch(broker, specs, [consumer], marks, lost) as watch,
                broker.inbox([consumer]) as inbox,
            ):
                loop = _Loop(participant, Batches(desk, work), relay, inbox)
                await self._until_stopped(loop, relay, watch, notes)
            await publisher.close()

    async def _until_stopped(self, loop: _Loop, relay: Relay, watch: BrokerWatch, notes: Link) -> None:
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


class _Loop:
    """One batch after the other."""

    def __init__(self, participant: Participant[Any], batches: Batches, relay: Relay, inbox: Inbox) -> None:
        self._batch = participant.batch
        self._probe = participant.probe
        self._batches = batches
        self._relay = relay
        self._inbox = inbox

    async def run(self, stopping: asyncio.Event) -> None:
        stopped = asyncio.ensure_future(stopping.wait())
        try:
            while not stopping.is_set():
                await self._one_batch(await self._receive(stopped))
        finally:
            stopped.cancel()

    async def _one_batch(self, messages: Sequence[Incoming]) -> None:
        if not messages:
            return
        self._probe("received")
        recorded = await self._batches.answer(messages)
        await self._relay.publish(recorded)
        self._probe("published")
        await self._inbox.acknowledge(messages)
        self._probe("acknowledged")

    async def _receive(self, stopped: asyncio.Task[Any]) -> Sequence[Incoming]:
        received = asyncio.ensure_future(self._inbox.receive(self._batch, None))
        try:
            await asyncio.wait((received, stopped), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            received.cancel()
            raise
        if received.done():
            return received.result()
        received.cancel()
        await asyncio.wait((received,))
        return () if received.cancelled() else received.result()


class Batches:
    """Answers batches on a connection that comes back, in smaller transactions where that is needed."""

    def __init__(self, desk: Desk, link: Link) -> None:
        self._desk = desk
        self._link = link

    async def answer(self, messages: Sequence[Incoming]) -> list[Recorded]:
        """Answer all; where handlers stand in another replica's way, in smaller transactions."""
        recorded: list[Recorded] = []
        rest, size = list(messages), len(messages)
        while rest:
            part = rest[:size]
            done = await self._link.run(partial(self._attempt, part))
            if done is None:
                size = max(1, len(part) // 2)
                continue
            recorded += done
            rest = rest[size:]
        return recorded

    async def _attempt(self, part: Sequence[Incoming], connection: AsyncConnection) -> list[Recorded] | None:
        """None: again, with fewer messages in the transaction."""
        try:
            return await self._desk.answer(connection, part)
        except psycopg.Error as error:
            alone = len(part) == 1
            victim = is_transient(error) and (error.sqlstate or "").startswith("40")
            # A constraint deferred to the commit: alone, it is laid to the handler whose it is.
            deferred = isinstance(error, psycopg.IntegrityError)
            if alone or connection.broken or not (victim or deferred):
                raise
            _LOG.warning("a batch of %d is tried again in smaller ones: %s", len(part), error)
            return None
