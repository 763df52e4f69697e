"""A payments service with a database of its own, and messages to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from psycopg import AsyncConnection

from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.postgres.attentive import AttentiveConnection
from tests.conftest import DatabaseFrom
from tests.participant.service import Service, migrate
from tests.participant.stage import Stage


@pytest.fixture
async def service_database(database_from: DatabaseFrom) -> str:
    return await database_from("payments_service", migrate)


@pytest.fixture
def kind() -> type[AsyncConnection]:
    """The connections of a participant that runs; on any other one every handler has a savepoint of its own."""
    return AttentiveConnection


@pytest.fixture
async def service(service_database: str, kind: type[AsyncConnection]) -> AsyncIterator[Service]:
    async with await kind.connect(service_database, autocommit=True) as connection:
        yield Service(service_database, connection)


@pytest.fixture
async def stage(servers: Servers, service: Service, namespace: str) -> AsyncIterator[Stage]:
    events = wire.stream(namespace, "events")
    consumer = ConsumerSpec(events, "saga", (f"{namespace}.evt.>",))
    async with Broker(servers.nats_url, namespace=namespace) as broker:
        await broker.ensure(streams(namespace, timedelta(days=7)), [consumer])
        async with broker.inbox([consumer]) as inbox:
            yield Stage(broker, inbox, service, servers.nats_url, namespace)
