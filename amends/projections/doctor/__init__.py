"""Looks at all that sagas need, and says how to mend what is not as it should be. It changes nothing but migrations."""

from __future__ import annotations

from collections.abc import AsyncIterator

from amends.infrastructure.broker import BrokerUnreachable
from amends.infrastructure.errors import DatabaseUnreachable
from amends.infrastructure.nats import Broker
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.projections.doctor.broker import broker_findings
from amends.projections.doctor.database import migration_findings, projection_findings, store_findings
from amends.projections.doctor.finding import Finding, broken, well

__all__ = ["Finding", "examine"]

_BROKER_WITHIN = 5.0


async def examine(database_url: str, nats_url: str, settings: Settings) -> AsyncIterator[Finding]:
    """One finding after the other. What cannot be reached is a finding; what needs it is not looked at."""
    try:
        for finding in await migration_findings(database_url, settings.namespace):
            yield finding
        async with PostgresStore.open(database_url, settings.namespace) as store:
            yield well("database", "PostgreSQL answers")
            for finding in await store_findings(store):
                yield finding
            for finding in await projection_findings(database_url, settings.namespace):
                yield finding
            async for finding in _broker(nats_url, settings, store):
                yield finding
    except DatabaseUnreachable as error:
        yield broken("database", str(error), "start the server, or correct AMENDS_DATABASE_URL")


async def _broker(nats_url: str, settings: Settings, store: PostgresStore) -> AsyncIterator[Finding]:
    try:
        broker = Broker(
            nats_url, name="amends doctor", namespace=settings.namespace, connect_within=_BROKER_WITHIN
        )
        async with broker:
            yield well("broker", "NATS answers, with JetStream")
            async for finding in broker_findings(broker, settings, store):
                yield finding
    except BrokerUnreachable as error:
        yield broken("broker", str(error), "start the server, or correct AMENDS_NATS_URL")
