"""What the examination of a broker finds, each trouble made on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from amends import Settings
from amends.domain import wire
from amends.infrastructure.broker import streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.store import PostgresStore
from amends.process_managers.consumers import consumer_specs
from amends.process_managers.registry import Registry
from amends.projections.doctor.broker import broker_findings
from amends.projections.doctor.finding import Finding
from tests.domain.driver import Order


class System:
    """A broker and a store for which a worker with the type `order` has run."""

    def __init__(self, settings: Settings, broker: Broker, store: PostgresStore) -> None:
        self.settings = settings
        self.broker = broker
        self.store = store
        self.events = wire.stream(settings.namespace, "events")

    async def prepare(self) -> None:
        """What a worker makes when it starts."""
        registry = Registry([Order.definition])
        await self.store.register([Order.definition.shape()])
        specs = consumer_specs(registry, await self.store.shapes(), self.settings.namespace, "all")
        await self.broker.ensure(streams(self.settings.namespace, timedelta(days=1)), specs)

    async def start(self) -> None:
        """The event that starts an order."""
        subject = wire.event_subject(self.settings.namespace, "orders.placed")
        message = Outgoing("start-1", subject, {wire.CE_ID: "start-1"}, b'{"order_id": "o1"}')
        await self.broker.publisher().publish([message])

    async def found(self, about: str) -> Finding:
        found = [each async for each in broker_findings(self.broker, self.settings, self.store)]
        [finding] = [each for each in found if each.about == about]
        return finding


@pytest.fixture
async def system(servers: Servers, database: str, namespace: str) -> AsyncIterator[System]:
    async with (
        Broker(servers.nats_url, name="test", namespace=namespace) as broker,
        PostgresStore.open(database, namespace) as store,
    ):
        made = System(Settings(namespace=namespace), broker, store)
        await made.prepare()
        yield made


async def test_a_start_that_no_worker_takes(system: System) -> None:
    assert (await system.found("consumer start-order")).health == "well"
    await system.start()
    found = await system.found("consumer start-order")
    assert (found.health, found.told) == (
        "broken",
        "1 messages to come, 0 in hand, and no running worker takes them",
    )
    assert found.mend == "amends worker MODULE  # one that holds order"
    await system.store.workers.seen("w1", [("order", 1)])
    assert (await system.found("consumer start-order")).health == "well"


async def test_a_consumer_that_is_missing(system: System) -> None:
    await system.broker.api.call(f"CONSUMER.DELETE.{system.events}.saga-order")
    found = await system.found("consumer saga-order")
    assert (found.health, found.told) == ("broken", "is missing")
    assert found.mend.startswith("amends worker MODULE")
    assert (await system.found("consumer start-order")).health == "well"


async def test_a_stream_that_is_lost(system: System) -> None:
    await system.start()
    mark = (await system.broker.inspect(system.events, None)).mark
    assert mark is not None
    await system.store.marks.store({system.events: mark})
    assert (await system.found("broker gap")).health == "well"
    await system.broker.api.call(f"STREAM.DELETE.{system.events}")
    lost = await system.found(f"stream {system.events}")
    assert (lost.health, lost.told) == ("broken", "is missing")
    gap = await system.found("broker gap")
    assert (gap.health, gap.told) == ("broken", f"the broker lost messages of {system.events}")


async def test_a_stream_whose_messages_are_lost(system: System) -> None:
    await system.start()
    mark = (await system.broker.inspect(system.events, None)).mark
    assert mark is not None
    await system.store.marks.store({system.events: mark})
    await system.broker.api.call(f"STREAM.DELETE.{system.events}")
    await system.prepare()
    assert (await system.found(f"stream {system.events}")).health == "well"
    assert (await system.found("broker gap")).health == "broken"
