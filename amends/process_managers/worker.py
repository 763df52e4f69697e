"""The worker as a program sees it: sagas, settings, and a batch engine on PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self

from amends.domain import wire
from amends.domain.choreography.definition import Choreography
from amends.domain.handlers.manager import ProcessManager
from amends.domain.limits import Limit, one_for_each
from amends.domain.saga import Saga
from amends.infrastructure.broker import streams
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.embedded import Servers
from amends.infrastructure.groups import only
from amends.infrastructure.nats import Broker, BrokerWatch
from amends.infrastructure.nats.requests import answering
from amends.infrastructure.ports import Workers
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.infrastructure.shapes import together
from amends.process_managers.consumers import consumer_specs
from amends.process_managers.engine import Engine
from amends.process_managers.recovery import bury_again, publish_again, send_again, tell_again
from amends.process_managers.registry import Registry
from amends.process_managers.requests import Desk

_TELL_EVERY: Final = 10.0
"""Seconds between two signs of life."""


class Worker:
    """Runs these sagas and process managers: `async with Worker([Order])`, or `await Worker([Order]).run()`.

    Workers are equal and share the work: run as many as you like. `deliver` says what a saga type that is run
    for the first time starts for: `new` events only, or `all` that the stream still holds. `limits` are those of
    participants, one for each; give all workers of a namespace the same, for the last that starts decides. `probe` is
    called at labelled points of each batch, for tests that kill the process there.

    Raises `SettingsError`, `ShapeDiffers` where a version was run before with other steps, and
    `ConfiguredOtherwise` where a stream or consumer is not as it must be.
    """

    def __init__(
        self,
        sagas: Sequence[type[Saga[Any]] | type[ProcessManager[Any]] | type[Choreography]],
        settings: Settings | None = None,
        *,
        name: str | None = None,
        deliver: Literal["new", "all"] = "new",
        limits: Sequence[Limit] = (),
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.registry = Registry(saga.definition for saga in sagas)
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._settings = settings
        self._deliver: Literal["new", "all"] = deliver
        self._limits = one_for_each(limits)
        self._probe = probe
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._open = AsyncExitStack()

    def stop(self) -> None:
        """Finish the batch in hand, take no other, and end."""
        self._stopping.set()

    async def ready(self) -> None:
        """Returns when messages are taken."""
        await self._ready.wait()

    async def run(self) -> None:
        """Run until `stop` is called, or the task is cancelled."""
        settings = self._settings or Settings()
        async with (
            Servers(settings) as servers,
            PostgresStore.open(servers.database_url, settings.namespace) as store,
            Broker(servers.nats_url, name=f"worker-{self.name}", namespace=settings.namespace) as broker,
        ):
            shapes = together(self.registry.shapes(), await store.shapes())
            consumers = consumer_specs(self.registry, shapes, settings.namespace, self._deliver)
            publisher = broker.publisher()
            desk = Desk(store, publisher, self.registry, settings.namespace)
            feeding = {wire.stream(settings.namespace, what) for what in ("commands", "events")}

            async def lost(names: set[str]) -> None:
                if names & feeding:
                    await send_again(store, publisher)
                if wire.stream(settings.namespace, "sagas") in names:
                    await tell_again(store, publisher, timedelta(days=settings.outbox_retention))
                if wire.stream(settings.namespace, "events") in names:
                    await publish_again(store, publisher, timedelta(days=settings.outbox_retention))
                if wire.stream(settings.namespace, "dead") in names:
                    await bury_again(store, publisher, settings.namespace)

            specs = streams(settings.namespace, timedelta(days=settings.stream_max_age))
            async with (
                BrokerWatch(broker, specs, consumers, store.marks, lost) as watch,
                broker.inbox(consumers) as inbox,
                answering(broker, self._action_subjects(settings), desk.answer),
            ):
                # Only now: what starts a type that is seen to be recorded is heard.
                await store.register(self.registry.shapes())
                shapes = await store.shapes()
                engine = Engine(
                    self.registry,
                    store,
                    inbox,
                    publisher,
                    SystemClock(),
                    namespace=settings.namespace,
                    name=self.name,
                    batch_size=settings.batch_size,
                    lease=timedelta(seconds=settings.timer_lease),
                    known_types=[shape["saga"] for shape in shapes],
                    limits=self._limits,
                    probe=self._probe,
                )
                await self._until_stopped(engine, watch.wait(), servers.watch(), self._tell(store.workers))
                await store.workers.gone(self.name)
            await publisher.close()

    def _action_subjects(self, settings: Settings) -> list[str]:
        return [
            wire.action_subject(settings.namespace, saga, version) for saga, version in self.registry.held
        ]

    async def _until_stopped(self, engine: Engine, *watches: Any) -> None:
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(watch) for watch in watches]
            beside.append(group.create_task(self._pass_on_stop(engine)))
            self._ready.set()
            await engine.run()
            for task in beside:
                task.cancel()

    async def _tell(self, workers: Workers) -> None:
        """Tell now and then which versions run here."""
        while True:
            await workers.seen(self.name, self.registry.held)
            await SystemClock().sleep(_TELL_EVERY)

    async def _pass_on_stop(self, engine: Engine) -> None:
        await self._stopping.wait()
        engine.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run beside the body, which begins when messages are taken; leaving it finishes the batch and stops.

        An error that ends the worker cancels the body and is raised here.
        """
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self.run(), name="amends-worker")
                ready = asyncio.ensure_future(self._ready.wait())
                await asyncio.wait((work, ready), return_when=asyncio.FIRST_COMPLETED)
                try:
                    yield self
                finally:
                    ready.cancel()
                    self.stop()
                    await asyncio.wait((work,))
        except BaseExceptionGroup as group_error:
            raise only(group_error) from group_error

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self.running())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)
