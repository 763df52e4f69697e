"""The broker as a process manager sees it, and a service that runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from amends.domain import wire
from amends.infrastructure.nats import Broker, JetStreamInbox
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant import Participant
from tests.participant.service import NAMESPACE, Service, payments

WITHIN = 60.0


@dataclass(slots=True)
class Stage:
    """The broker as a process manager sees it, and the service's database."""

    broker: Broker
    inbox: JetStreamInbox
    service: Service
    nats_url: str
    namespace: str

    @asynccontextmanager
    async def running(self, participant: Participant | None = None) -> AsyncIterator[Participant]:
        chosen = participant or payments()
        async with chosen.running(
            database_url=self.service.url, nats_url=self.nats_url, namespace=self.namespace
        ):
            yield chosen

    async def command(self, *messages: Incoming) -> None:
        publisher = self.broker.publisher()
        await publisher.publish([self.outgoing(each) for each in messages])
        await publisher.close()

    def outgoing(self, message: Incoming) -> Outgoing:
        subject = message.subject.replace(f"{NAMESPACE}.", f"{self.namespace}.", 1)
        return Outgoing(message.headers[wire.CE_ID], subject, message.headers, message.body)

    async def answers(self, count: int) -> list[Incoming]:
        """The next answers, each once."""
        found: dict[str, Incoming] = {}
        async with asyncio.timeout(WITHIN):
            while len(found) < count:
                received = await self.inbox.receive(1000, None)
                found |= {each.headers[wire.CE_ID]: each for each in received}
                await self.inbox.acknowledge(received)
        return list(found.values())


def outcomes(answers: Sequence[Incoming]) -> list[str]:
    return sorted(each.headers[wire.OUTCOME] for each in answers)


async def settled(service: Service, query: str, expected: object) -> None:
    """Returns when the query's first column is as expected."""
    async with asyncio.timeout(WITHIN):
        while await service.column(query) != expected:
            await service.connection.execute("SELECT pg_sleep(0.02)")


UNPUBLISHED = "SELECT count(*) FROM amends_participant.outbox WHERE published_at IS NULL"
