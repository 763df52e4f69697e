"""A worker and a participant over ports in memory, put together as `amends worker` and `amends participant` do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec, StreamSpec
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.memory.store import MemoryMarks, MemoryStore
from amends.infrastructure.nats import BrokerWatch
from amends.infrastructure.ports import Clock, Incoming, Store
from amends.infrastructure.postgres.relay import Relay
from amends.infrastructure.shapes import together
from amends.participant.answers import Writer
from amends.participant.batches import Batches, Loop
from amends.participant.consumers import consumers_of
from amends.participant.desk import Desk
from amends.participant.handlers import Handlers
from amends.participant.reactions import Reactions
from amends.process_managers.consumers import consumer_specs
from amends.process_managers.engine import Engine
from amends.process_managers.recovery import publish_again, send_again
from amends.process_managers.registry import Registry
from amends.testing.memory_link import MemoryLink
from amends.testing.processes import Gated, Process
from amends.testing.services import ServiceDatabase, ServiceLedger, ServiceLink, ServiceOutbox

_GRACE: Final = timedelta(seconds=5)
_KEPT: Final = timedelta(days=7)

FOREIGN: Final = "foreign"
"""The consumer of services that are no participants."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs run."""

    namespace: str
    broker: MemoryBroker
    store: MemoryStore
    clock: Clock
    streams: Sequence[StreamSpec]

    def names(self, *streams: str) -> set[str]:
        """The full names of streams."""
        return {wire.stream(self.namespace, stream) for stream in streams}


async def work(place: Place, process: Process, registry: Registry, options: Mapping[str, Any]) -> None:
    """A worker; `options` are those of `Engine`."""
    link = MemoryLink(place.broker, process)
    store, publisher = cast(Store, Gated(place.store, "store", process)), link.publisher()
    shapes = together(registry.shapes(), await store.shapes())
    consumers = consumer_specs(registry, shapes, place.namespace, "all")

    async def lost(names: set[str]) -> None:
        if names & place.names("commands", "events"):
            await send_again(store, publisher)
        if names & place.names("events"):
            await publish_again(store, publisher, _KEPT)

    async with BrokerWatch(link, place.streams, consumers, place.store.marks, lost) as watch:  # type: ignore[arg-type]
        await store.register(registry.shapes())
        given = {"store": store, "inbox": link.inbox(consumers), "publisher": publisher, "clock": place.clock}
        engine = Engine(
            registry,
            **{**given, **options},
            namespace=place.namespace,
            name=process.name,
            known_types=[shape["saga"] for shape in await store.shapes()],
            probe=process.probe,
        )
        await _beside(engine.run(), watch.wait(), _stop(process, engine))


async def serve(
    place: Place,
    process: Process,
    handlers: Handlers,
    database: ServiceDatabase,
    reactions: Reactions | None = None,
) -> None:
    """A replica of a participant. The part of its name before a `-` is the service's."""
    service = process.name.partition("-")[0]
    broker = MemoryLink(place.broker, process)
    link, outbox = ServiceLink(database, process), ServiceOutbox()
    writer = Writer(place.namespace, service, wire.MAX_MESSAGE)
    reactions = reactions or Reactions()
    desk = Desk(writer, handlers, ServiceLedger(), outbox, process.probe, reactions)
    relay = Relay(link, outbox, broker.publisher(), grace=_GRACE)  # type: ignore[arg-type]
    consumers = consumers_of(service, place.namespace, handlers, reactions)

    async def lost(names: set[str]) -> None:
        if names & place.names("events", "dead"):
            await relay.lost()

    async with BrokerWatch(broker, place.streams, consumers, database.marks, lost) as watch:  # type: ignore[arg-type]
        loop = Loop(Batches(desk, link), relay, broker.inbox(consumers), 100, process.probe)
        await _beside(loop.run(process.stopping), watch.wait(), relay.run())


async def listen(
    place: Place, process: Process, subjects: Sequence[str], handle: Callable[[Incoming], None]
) -> None:
    """A service that is no participant: it handles each command as it comes, and then acknowledges."""
    broker = MemoryLink(place.broker, process)
    filters = tuple(wire.command_subject(place.namespace, each) for each in subjects)
    consumer = ConsumerSpec(wire.stream(place.namespace, "commands"), FOREIGN, filters)

    async def lost(names: set[str]) -> None:
        """Whoever sent the commands sends them again."""

    async def work() -> None:
        inbox = broker.inbox([consumer])
        while True:
            messages = await inbox.receive(10, None)
            for message in messages:
                await process.gate("foreign.handle")
                handle(message)
            await inbox.acknowledge(messages)

    async with BrokerWatch(broker, place.streams, [consumer], MemoryMarks(), lost) as watch:  # type: ignore[arg-type]
        await _beside(work(), watch.wait())


async def _beside(main: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(other) for other in others]
        await main
        for task in tasks:
            task.cancel()


async def _stop(process: Process, engine: Engine) -> None:
    await process.stopping.wait()
    engine.stop()
