"""A process manager in the event-handler style on real servers: keys, early events, timeouts, a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import BaseModel

from amends import (
    Action,
    Client,
    Command,
    Done,
    Event,
    Participant,
    ProcessManager,
    Rejected,
    Settings,
    Tx,
    Worker,
    also_known_as,
    cancel_timeout,
    compensate,
    complete,
    on,
    on_timeout,
    publish,
    send,
    starts,
    timeout,
)
from amends.domain import wire
from amends.domain.history import verify
from amends.domain.identity import saga_id
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.store import PostgresStore

SOON = timedelta(seconds=30)


class Rung(Event, subject="door.rung"):
    visit: str
    patience: float = 3600


class Opened(Event, subject="door.opened"):
    badge: str


class Greeted(Event, subject="hosts.greeted"):
    visit: str


class Left(Event, subject="door.left"):
    badge: str


class Sneezed(Event, subject="guests.sneezed"):
    visit: str


class Over(Event, subject="visits.over"):
    visit: str


class Open(Command[Opened], subject="door.open"):
    visit: str


class Shut(Command, subject="door.shut"):
    visit: str


class VisitState(BaseModel):
    greeted: bool = False


class Visit(ProcessManager[VisitState], name="visit", version=1, sends=[Open, Shut], publishes=[Over]):
    """Open the door, wait for the host, and for the guest to leave with the badge."""

    @starts(Rung, key="visit")
    def rung(self, event: Rung) -> Iterator[Action]:
        yield send(Open(visit=self.key), compensate=Shut(visit=self.key))
        yield timeout("nobody came", after=timedelta(seconds=event.patience))

    @on(Opened)
    def opened(self, event: Opened) -> Iterator[Action]:
        yield also_known_as("badge", event.badge)

    @on(Greeted, key="visit")
    def greeted(self, event: Greeted) -> Iterator[Action]:
        self.state.greeted = True
        yield cancel_timeout("nobody came")

    @on(Left, known_as="badge")
    def left(self, event: Left) -> Iterator[Action]:
        yield publish(Over(visit=self.key))
        yield complete()

    @on(Sneezed, key="visit", missing="ignore")
    def sneezed(self, event: Sneezed) -> None:
        """Nothing to decide."""

    @on_timeout("nobody came")
    def nobody_came(self) -> Iterator[Action]:
        yield compensate("nobody came")


def door() -> Participant[None]:
    participant: Participant[None] = Participant("door")

    @participant.handles(Open)
    async def open_it(command: Open, tx: Tx) -> Opened:
        if command.visit == "locked":
            raise Rejected("locked", "the door is locked")
        return Opened(badge=f"badge of {command.visit}")

    @participant.handles(Shut, undoes=Open)
    async def shut(command: Shut, tx: Tx) -> Done:
        return Done()

    return participant


@dataclass
class House:
    settings: Settings
    client: Client
    store: PostgresStore
    broker: Broker

    async def tell(self, event: Event, identity: str) -> None:
        place = wire.event_subject(self.settings.namespace, event.subject)
        body = event.model_dump_json().encode()
        await self.broker.publisher().publish([Outgoing(identity, place, {wire.CE_ID: identity}, body)])

    def id(self, visit: str) -> UUID:
        return saga_id(self.settings.namespace, "visit", visit)

    async def told(self, visit: str) -> list[tuple[str, str]]:
        """Type and cause of the events of one visit."""
        history = await self.store.history(self.id(visit))
        verify(history)
        return [(recorded.event.type, recorded.event.cause) for recorded in history]

    async def until(self, happened: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SOON.total_seconds()):
            while not await happened():  # noqa: ASYNC110 - a database table does not signal
                await asyncio.sleep(0.02)

    async def until_recorded(self, visit: str, kind: str) -> None:
        async def recorded() -> bool:
            return kind in [each for each, _ in await self.told(visit)]

        await self.until(recorded)


@asynccontextmanager
async def house(servers: Servers, namespace: str) -> AsyncIterator[House]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with (
        door().running(settings),
        Client(settings) as client,
        Broker(servers.nats_url, name="stranger", namespace=namespace) as broker,
        PostgresStore.open(servers.database_url, namespace) as store,
    ):
        yield House(settings, client, store, broker)


async def test_it_is_completed_by_an_event_that_names_a_key_which_it_learnt(
    servers: Servers, namespace: str
) -> None:
    async with house(servers, namespace) as place, Worker([Visit], place.settings):
        run = await place.client.start(Visit, Rung(visit="v1"))
        await place.until_recorded("v1", "key.learnt")
        await place.tell(Left(badge="badge of v1"), "left-1")
        assert await run.result(timeout=SOON) == "completed"


async def test_it_is_compensated_where_a_service_says_no(servers: Servers, namespace: str) -> None:
    async with house(servers, namespace) as place, Worker([Visit], place.settings):
        run = await place.client.start(Visit, Rung(visit="locked"))
        assert await run.result(timeout=SOON) == "compensated"


async def test_a_timeout_comes_and_what_was_sent_is_undone(servers: Servers, namespace: str) -> None:
    async with house(servers, namespace) as place, Worker([Visit], place.settings):
        run = await place.client.start(Visit, Rung(visit="v1", patience=0.2))
        assert await run.result(timeout=SOON) == "compensated"
        types = [kind for kind, _ in await place.told("v1")]
        assert "timeout.fired" in types
        assert types[-2:] == ["command.succeeded", "saga.compensated"]


async def test_an_event_that_came_early_is_handled_when_its_saga_has_started(
    servers: Servers, namespace: str
) -> None:
    async with house(servers, namespace) as place, Worker([Visit], place.settings):
        await place.tell(Greeted(visit="v1"), "greeting-1")
        await place.tell(Left(badge="badge of v1"), "left-1")

        async def kept() -> bool:
            found = {each.message_id: each.became for each in await place.store.unclaimed(10)}
            return found == {"greeting-1": "kept", "left-1": "kept"}

        await place.until(kept)
        run = await place.client.start(Visit, Rung(visit="v1"))
        assert await run.result(timeout=SOON) == "completed"
        told = await place.told("v1")
        assert ("event.handled", "greeting-1") in told
        assert ("event.handled", "left-1") in told


async def test_an_event_that_is_ignored_leaves_a_trace_for_auditors(servers: Servers, namespace: str) -> None:
    async with house(servers, namespace) as place, Worker([Visit], place.settings):
        await place.tell(Sneezed(visit="nobody"), "sneeze-1")

        async def ignored() -> bool:
            return [each.became for each in await place.store.unclaimed(10)] == ["ignored"]

        await place.until(ignored)


class Died(Exception):
    """The worker is no more."""


async def test_what_was_committed_is_published_by_another_worker_where_one_dies_in_between(
    servers: Servers, namespace: str
) -> None:
    commits = iter(range(1, 100))

    def probe(label: str) -> None:
        if label == "committed" and next(commits) == 1:
            raise Died

    async with house(servers, namespace) as place:
        run = await place.client.start(Visit, Rung(visit="v1"))
        with pytest.raises(Died):
            async with Worker([Visit], place.settings, deliver="all", probe=probe):
                await asyncio.Event().wait()
        assert ("command.recorded", (await place.told("v1"))[0][1]) in await place.told("v1")
        async with Worker([Visit], place.settings, deliver="all"):
            await place.until_recorded("v1", "key.learnt")
            await place.tell(Left(badge="badge of v1"), "left-1")
            assert await run.result(timeout=SOON) == "completed"
        types = [kind for kind, _ in await place.told("v1")]
        assert (types.count("saga.started"), types.count("command.recorded")) == (1, 1)


async def test_a_saga_without_a_worker_waits_and_its_events_with_it(servers: Servers, namespace: str) -> None:
    async with house(servers, namespace) as place:
        async with Worker([Visit], place.settings):
            run = await place.client.start(Visit, Rung(visit="v1"))
            await place.until_recorded("v1", "key.learnt")
        await place.tell(Greeted(visit="v1"), "greeting-1")
        await place.tell(Left(badge="badge of v1"), "left-1")
        async with Worker([Visit], place.settings):
            assert await run.result(timeout=SOON) == "completed"
