"""A choreographed example on real servers: its services with a database each, an observer, and a client."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from amends import Choreography, Client, Participant, Settings, Worker
from amends.client import Run
from amends.domain import events as e
from amends.domain import wire
from amends.domain.events import SagaEvent
from amends.domain.history import verify
from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.postgres.store import PostgresStore

ROOT = Path(__file__).parents[2]
SOON = timedelta(seconds=60)


@dataclass
class Company:
    """The services of an example that run, and who observes them."""

    servers: Servers
    settings: Settings
    urls: Mapping[str, str]
    client: Client
    store: PostgresStore
    broker: Broker

    @asynccontextmanager
    async def running(self, *participants: Participant[None]) -> AsyncIterator[None]:
        """These services run beside the body."""
        async with AsyncExitStack() as stack:
            for each in participants:
                await stack.enter_async_context(
                    each.running(self.settings, database_url=self.urls[each.name])
                )
            yield

    async def dying(self, participant: Participant[None], module: str) -> asyncio.subprocess.Process:
        """The service in a process of its own, which kills itself between a commit and what it would publish."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.examples.dying", f"{module}:{participant.name}", "committed",
            self.urls[participant.name], self.servers.nats_url, self.settings.namespace,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), SOON.total_seconds()) == b"ready\n"
        return process

    async def history(self, run: Run) -> list[SagaEvent]:
        history = await self.store.history(run.id)
        verify(history)
        return [each.event for each in history]

    async def until_recorded(self, run: Run, type_: str) -> None:
        """Returns when an event of this type is in the instance's history."""
        async with asyncio.timeout(SOON.total_seconds()):
            while type_ not in types(await self.history(run)):  # noqa: ASYNC110 - written by another process
                await asyncio.sleep(0.05)

    async def milestone(self, run: Run, name: str) -> None:
        """Returns when this has become of the instance."""
        namespace = self.settings.namespace
        told = wire.saga_subject(namespace, "*", name)
        spec = ConsumerSpec(wire.stream(namespace, "sagas"), f"watch-{name}", (told,))
        await self.broker.ensure((), [spec])
        async with asyncio.timeout(SOON.total_seconds()), self.broker.inbox([spec]) as inbox:
            found = False
            while not found:
                messages = await inbox.receive(100, None)
                found = any(each.headers[wire.SAGA_ID] == str(run.id) for each in messages)
                await inbox.acknowledge(messages)


@asynccontextmanager
async def company(
    servers: Servers, namespace: str, urls: Mapping[str, str], chain: type[Choreography]
) -> AsyncIterator[Company]:
    """A client and an observer of the chain."""
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with (
        Client(settings) as client,
        Worker([chain], settings),
        PostgresStore.open(servers.database_url, namespace) as store,
        Broker(servers.nats_url, name="test", namespace=namespace) as broker,
    ):
        yield Company(servers, settings, urls, client, store, broker)


def types(history: Sequence[SagaEvent]) -> list[str]:
    return [event.type for event in history]


def published(history: Sequence[SagaEvent]) -> list[str]:
    return [event.subject for event in history if isinstance(event, e.EventPublished)]


async def killed(process: asyncio.subprocess.Process) -> None:
    """Returns when the process has killed itself."""
    assert await asyncio.wait_for(process.wait(), SOON.total_seconds()) == -signal.SIGKILL
