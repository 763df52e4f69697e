"""A scenario's worker on real PostgreSQL and NATS. Only time is not real: the clocks are moved ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, cast
from uuid import UUID

from amends.domain import wire
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded
from amends.domain.inputs import Action
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.clock import SystemClock, fresh_name
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker, JetStreamInbox, JetStreamPublisher
from amends.infrastructure.ports import Due, Incoming, Loaded, Outgoing, SagaRow, Store
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.process_managers.acting import act
from amends.process_managers.consumers import consumer_specs
from amends.process_managers.engine import Engine
from amends.process_managers.registry import Registry
from amends.testing.kit.background import Background
from amends.testing.kit.errors import NotQuiet

_KEPT: Final = timedelta(days=1)
_ACK_WAIT: Final = 1.0
"""After a crash the broker delivers again what was not acknowledged; nobody wants to wait long for it."""
_MANY: Final = 1000
_POLL: Final = 0.005
_PATIENCE: Final = 30.0


class EmbeddedServers:
    """PostgreSQL and NATS for all scenarios of a test run: those of the settings, or servers of its own."""

    def __init__(self, settings: Settings) -> None:
        self._background = Background()
        self._servers = Servers(settings)

    def __enter__(self) -> Self:
        self._background.run(self._servers.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.run(self._servers.__aexit__(None, None, None))
        self._background.close()

    def system(self, definition: AnyDefinition) -> EmbeddedSystem:
        """A worker of this saga type in a namespace of its own."""
        system = EmbeddedSystem(definition, self._background)
        try:
            self._background.run(system.open(self._servers))
        except BaseException:
            system.close()
            raise
        return system


class _Clock:
    """The machine's clock, ahead of itself."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The time."""
        return self._clock.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Returns when so many real seconds have passed."""
        await self._clock.sleep(seconds)


class _Ahead:
    """The store, its clock as far ahead as ours; all else is passed on."""

    def __init__(self, store: PostgresStore, clock: _Clock) -> None:
        self._store = store
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        """The store's own."""
        return getattr(self._store, name)

    async def load(self, saga_ids: Collection[UUID], *, in_quarantine: bool = False) -> Loaded:
        """As the store does, at our time."""
        loaded = await self._store.load(saga_ids, in_quarantine=in_quarantine)
        return replace(loaded, now=loaded.now + self._clock.ahead)

    async def take_due(
        self, definitions: Collection[tuple[str, int]], until: datetime | None, limit: int, lease: timedelta
    ) -> Due:
        """The sagas that are due at our time."""
        now = (await self.load(())).now
        rows = sorted(await self.waking(), key=lambda row: row.wake_up or now)
        due = [row.saga_id for row in rows if row.wake_up and row.wake_up <= min(now, until or now)]
        coming = [row.wake_up for row in rows if row.saga_id not in due]
        return Due(now, due[:limit], min((each for each in coming if each), default=None))

    async def waking(self) -> list[SagaRow]:
        """The sagas that will wake up."""
        return [row for row in await self._store.saga_rows() if row.wake_up is not None]


class _Publisher:
    """The publisher, which remembers what it has brought to the broker."""

    def __init__(self, publisher: JetStreamPublisher) -> None:
        self._publisher = publisher
        self.published: set[str] = set()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish, and remember."""
        await self._publisher.publish(messages)
        self.published.update(message.message_id for message in messages)


class _Died(BaseException):
    """The worker is no more."""


class EmbeddedSystem:
    """The production worker on real servers. It is at rest when nothing is left to handle, to publish or due."""

    def __init__(self, definition: AnyDefinition, background: Background) -> None:
        self.namespace = f"t{fresh_name()[:12]}"
        self._definition = definition
        self._background = background
        self._registry = Registry([definition])
        self._clock = _Clock()
        self._open = AsyncExitStack()
        self._armed: list[str] = []
        self._running: asyncio.Task[None] | None = None
        self._engine: Engine | None = None
        self._store: _Ahead
        self._broker: Broker
        self._publisher: _Publisher
        self._services: JetStreamInbox
        self._inbox: JetStreamInbox

    async def open(self, servers: Servers) -> None:
        """Connect, and start the worker."""
        enter = self._open.enter_async_context
        store = await enter(PostgresStore.open(servers.database_url, self.namespace))
        self._store = _Ahead(store, self._clock)
        self._broker = await enter(Broker(servers.nats_url, name="scenario", namespace=self.namespace))
        publisher = self._broker.publisher()
        self._open.push_async_callback(publisher.close)
        self._publisher = _Publisher(publisher)
        await store.register(self._registry.shapes())
        everything = ConsumerSpec(
            wire.stream(self.namespace, "commands"), "services", (wire.command_subject(self.namespace, ">"),)
        )
        specs = consumer_specs(self._registry, await store.shapes(), self.namespace, "all")
        self._consumers = [replace(spec, ack_wait=_ACK_WAIT) for spec in specs]
        await self._broker.ensure(streams(self.namespace, _KEPT), [everything, *self._consumers])
        self._services = await enter(self._broker.inbox([everything]))
        await self._start()

    def publish(self, message: Outgoing) -> None:
        """Put a message onto the broker, and have the worker handle it."""
        self._background.run(self._publish(message))

    def commands(self) -> Sequence[Incoming]:
        """Those that came, when the worker is at rest."""
        return self._background.run(self._commands())

    def advance(self, duration: timedelta) -> None:
        """Let time pass, from one timer to the next."""
        self._background.run(self._advance(duration))

    def act(self, saga: UUID, action: Action) -> None:
        """What an operator does."""
        acting = act(cast(Store, self._store), self._publisher, self._registry, self.namespace, saga, action)
        self._background.run(acting)

    def crash(self, at: str) -> None:
        """Die there, or now."""
        if at:
            self._armed.append(at)
        else:
            self._background.run(self._start())

    def armed(self) -> Sequence[str]:
        """The points that the worker has not come to."""
        return self._armed

    def now(self) -> datetime:
        """The time, as far ahead as it was moved."""
        return self._clock.now()

    def history(self, saga: UUID) -> Sequence[Recorded]:
        """The saga's events so far."""
        return cast(Sequence[Recorded], self._background.run(self._store.history(saga)))

    def quarantined(self, saga: UUID) -> str:
        """Why the saga could not be decided."""
        told = self._background.run(self._store.quarantined(saga_id=saga))
        return str(told[0].error) if told else ""

    def close(self) -> None:
        """Stop the worker, and disconnect."""
        self._background.run(self._close())

    async def _start(self) -> None:
        """Start a worker; one that runs already is killed."""
        await self._kill()
        self._inbox = await self._open.enter_async_context(self._broker.inbox(self._consumers))
        self._engine = Engine(
            self._registry,
            cast(Store, self._store),
            self._inbox,
            self._publisher,
            self._clock,
            namespace=self.namespace,
            name="scenario",
            probe=self._probe,
        )
        self._running = asyncio.create_task(self._engine.run())

    async def _kill(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))
            await self._inbox.close()

    def _probe(self, label: str) -> None:
        if label in self._armed:
            self._armed.remove(label)
            raise _Died(label)

    async def _rest(self) -> None:
        """Returns when the worker has nothing left to do at this time. Raises `NotQuiet`, or what it died of."""
        until = SystemClock()
        limit = until.now() + timedelta(seconds=_PATIENCE)
        while not await self._is_quiet():
            if until.now() > limit:
                raise NotQuiet(f"expected the worker to come to rest within {_PATIENCE:.0f} s; it did not")
            await self._clock.sleep(_POLL)

    async def _is_quiet(self) -> bool:
        assert self._running is not None
        if self._running.done():
            error = self._running.exception()
            if error is not None and not isinstance(error, _Died):
                raise error
            await self._start()
            return False
        if await self._inbox.handled_until() is not None:
            return False
        unpublished = await self._store.unpublished(_MANY, timedelta(0))
        if not self._publisher.published.issuperset(message.message_id for message in unpublished):
            return False
        now = self._clock.now()
        return not any(row.wake_up and row.wake_up <= now for row in await self._store.waking())

    async def _publish(self, message: Outgoing) -> None:
        await self._publisher.publish([message])
        await self._rest()

    async def _commands(self) -> Sequence[Incoming]:
        await self._rest()
        came: list[Incoming] = []
        while await self._services.handled_until() is not None:
            some = await self._services.receive(_MANY, 1.0)
            await self._services.acknowledge(some)
            came += some
            await self._clock.sleep(_POLL)
        return came

    async def _advance(self, duration: timedelta) -> None:
        await self._rest()
        until = self._clock.ahead + duration
        while (moment := await self._next_timer()) is not None and moment <= until:
            await self._move(moment)
        await self._move(until)

    async def _next_timer(self) -> timedelta | None:
        """How far ahead the clock must be for the next timer to fall due; one that is held up is not waited for."""
        now = self._clock.now()
        timers = [row.wake_up - now for row in await self._store.waking() if row.wake_up is not None]
        coming = min((timer for timer in timers if timer > timedelta(0)), default=None)
        return None if coming is None else self._clock.ahead + coming

    async def _move(self, ahead: timedelta) -> None:
        """Have a worker look at the new time: one that sleeps would not notice."""
        self._clock.ahead = ahead
        await self._start()
        await self._rest()

    async def _close(self) -> None:
        await self._kill()
        await self._open.aclose()
