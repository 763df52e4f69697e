"""A worker on real servers: what waits while nobody is there who holds a version, or nobody at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from amends import Client, Command, Event, Participant, Retry, Saga, Settings, Tx, Worker, step
from amends.client import Run
from amends.domain.events import JsonObject
from amends.infrastructure.embedded import Servers
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.shapes import ShapeDiffers

SOON = timedelta(seconds=30)


class Ordered(Event, subject="bakery.ordered"):
    key: str


class Bake(Command, subject="bakery.bake"): ...


class Hand(Command, subject="bakery.hand"): ...


class Bread(Saga[Ordered], name="bread", version=1, key="key"):
    @step
    def bake(self) -> Bake:
        return Bake()

    @step
    def hand(self) -> Hand:
        return Hand()


class HastyBread(Bread, name="bread", version=1, key="key"):
    bake = Bread.bake.with_options(timeout=timedelta(seconds=2), retry=Retry(attempts=1))


class SlicedBread(Saga[Ordered], name="bread", version=2, key="key"):
    @step
    def hand(self) -> Hand:
        return Hand()


def bakery(baked: asyncio.Event | None = None, done: asyncio.Event | None = None) -> Participant[None]:
    """`baked` is set when the first command has come; it is answered when `done` is."""
    participant: Participant[None] = Participant("bakery")

    @participant.handles(Bake)
    async def bake(command: Bake, tx: Tx) -> None:
        if baked is not None:
            baked.set()
        if done is not None:
            await done.wait()

    @participant.handles(Hand)
    async def hand(command: Hand, tx: Tx) -> None:
        """Nothing to do."""

    return participant


@dataclass
class Town:
    """The servers, a client and the store; workers and services come and go."""

    settings: Settings
    store: PostgresStore
    client: Client

    async def asked(self, bread: type[Saga[Ordered]]) -> Run:
        """A saga whose first command is out, and whose worker has left; the service was not there yet."""
        async with Worker([bread], self.settings):
            run = await self.client.start(bread, Ordered(key="k-1"))

            async def is_out() -> bool:
                return len(await self.told(run)) == 2

            await until(is_out)
        return run

    async def answered(self) -> None:
        """The service comes, answers what it is asked, and leaves."""
        baked = asyncio.Event()
        async with bakery(baked).running(self.settings):
            await baked.wait()

    async def told(self, run: Run) -> list[str]:
        return [recorded.event.type for recorded in await self.store.history(run.id)]


@asynccontextmanager
async def opened(servers: Servers, namespace: str, **options: Any) -> AsyncIterator[Town]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace, **options)
    async with Client(settings) as client, PostgresStore.open(servers.database_url, namespace) as store:
        yield Town(settings, store, client)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON.total_seconds()):
        while not await condition():  # noqa: ASYNC110 - the store does not signal
            await asyncio.sleep(0.02)


@pytest.mark.semantics("version-not-held")
async def test_an_answer_for_a_version_that_nobody_holds_waits_for_a_worker_that_does(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as town:
        run = await town.asked(Bread)
        await town.answered()

        async def is_held() -> bool:
            held = await town.store.take_held([("bread", 1)], 10)
            return [each.saga_id for each in held] == [run.id]

        async with Worker([SlicedBread], town.settings, name="new"), bakery().running(town.settings):
            await until(is_held)
            fresh = await town.client.start(SlicedBread, Ordered(key="k-2"))
            assert await fresh.result(timeout=SOON) == "completed"
            assert await town.told(run) == ["saga.started", "command.recorded"]
            async with Worker([Bread, SlicedBread], town.settings, name="both"):
                assert await run.result(timeout=SOON) == "completed"
        assert not await is_held()
        history = await town.store.history(run.id)
        assert {recorded.event.by for recorded in history[2:]} <= {"both"}


class OtherBread(Saga[Ordered], name="bread", version=1, key="key"):
    @step
    def hand(self) -> Hand:
        return Hand()


@pytest.mark.semantics("shape-differs")
async def test_a_worker_with_another_shape_of_a_recorded_version_does_not_start(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as town:
        async with Worker([Bread], town.settings):
            recorded = await town.store.shapes()
        with pytest.raises(ShapeDiffers, match="Give the changed definition a new version"):
            await Worker([OtherBread], town.settings).run()
        assert await town.store.shapes() == recorded


@pytest.mark.semantics("recorded-is-heard")
async def test_what_is_published_as_soon_as_a_type_is_recorded_starts_it(
    servers: Servers, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(servers, namespace) as town:
        register, runs = PostgresStore.register, list[Run]()

        async def register_and_start(store: PostgresStore, shapes: Sequence[JsonObject]) -> None:
            await register(store, shapes)
            runs.append(await town.client.start(Bread, Ordered(key="k-1")))

        monkeypatch.setattr(PostgresStore, "register", register_and_start)
        async with Worker([Bread], town.settings, deliver="new"), bakery().running(town.settings):
            [run] = runs
            assert await run.result(timeout=SOON) == "completed"


@pytest.mark.semantics("timers-and-messages")
async def test_no_timer_overtakes_an_answer_that_came_while_no_worker_was_there(
    servers: Servers, namespace: str
) -> None:
    """Message after message is a batch of its own, so that the timer is looked at between any two."""
    async with opened(servers, namespace, batch_size=1) as town:
        baked, done = asyncio.Event(), asyncio.Event()
        async with bakery(baked, done).running(town.settings):
            async with Worker([HastyBread], town.settings):
                run = await town.client.start(HastyBread, Ordered(key="k-1"))
                await baked.wait()  # in time: later the command would have expired
            await town.client.start_many(HastyBread, [Ordered(key=f"b-{n}") for n in range(20)])
            done.set()

        async def is_due() -> bool:
            [row] = await town.store.saga_rows(saga_id=run.id)
            assert row.wake_up is not None
            return row.wake_up < (await town.store.load(())).now

        await until(is_due)
        async with Worker([HastyBread], town.settings), bakery().running(town.settings):
            assert await run.result(timeout=SOON) == "completed"
        assert "command.timed-out" not in await town.told(run)
