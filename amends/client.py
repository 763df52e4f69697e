"""Starting sagas from an application, and waiting for what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload
from uuid import UUID

from psycopg import AsyncConnection as Tx

from amends.domain import wire
from amends.domain.choreography.definition import Choreography
from amends.domain.errors import AmendsError, VersionNotHeld
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.handlers.manager import ProcessManager
from amends.domain.identity import message_id, saga_id
from amends.domain.inputs import Action
from amends.domain.messages import Event
from amends.domain.saga import Saga
from amends.infrastructure.broker import streams
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker, JetStreamPublisher
from amends.infrastructure.nats.protocol import header_fields
from amends.infrastructure.nats.requests import NobodyAnswers, ask
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.application_outbox import application_outbox
from amends.infrastructure.postgres.outbox import Outbox
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings, operator
from amends.operating import Operating
from amends.process_managers.acting import act
from amends.process_managers.bulk import Bulk
from amends.process_managers.registry import Registry
from amends.process_managers.requests import question, read_answer

S = TypeVar("S", bound=Event)

FINAL: Final = ("completed", "compensated", "failed")
_LOOK_AGAIN: Final = 2.0


class NotFinished(AmendsError):
    """The saga had not finished when the time given for it was over; it goes on all the same."""


class NotStarted(AmendsError):
    """The start event became a dead letter, for this reason; no saga began with it."""


class NoOutbox(AmendsError):
    """A start was to take part in a transaction, and the client was not told of its database."""


class Run:
    """A saga that was asked to start, by the start event `message_id`."""

    def __init__(self, client: Client, id_: UUID, message_id: str) -> None:
        self.id: Final = id_
        self.message_id: Final = message_id
        self._client = client

    async def result(self, *, timeout: timedelta | None = None) -> str:
        """`completed`, `compensated` or `failed`, as soon as it is.

        Raises `NotFinished` after `timeout`, and `NotStarted` where the start event is not one that can be read,
        or its key is taken by another.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                return await self._client.outcome(self)
        except TimeoutError:
            raise NotFinished(
                f"expected saga {self.id} to finish within {timeout}; it has not. `amends show {self.id}` tells "
                "what it waits for"
            ) from None


class Client(Operating):
    """Starts sagas, waits for them, and operates them.

    `async with Client() as amends: run = await amends.start(Order, OrderPlaced(...))`

    `outbox_url` is the application's own PostgreSQL database. Given it, `start` can take part in a transaction
    there: the saga starts if the transaction commits, and then for certain.
    """

    def __init__(self, settings: Settings | None = None, *, outbox_url: str | None = None) -> None:
        self._settings = settings
        self._outbox_url = outbox_url
        self._outbox: Outbox | None = None
        self._open = AsyncExitStack()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._broker: Broker
        self._store: PostgresStore
        self._publisher: JetStreamPublisher
        self._namespace = ""

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def _connect(self) -> None:
        settings = self._settings = self._settings or Settings()
        self._namespace = settings.namespace
        enter = self._open.enter_async_context
        servers = await enter(Servers(settings))
        self._store = await enter(PostgresStore.open(servers.database_url, settings.namespace))
        self._broker = await enter(Broker(servers.nats_url, name="client", namespace=settings.namespace))
        specs = streams(self._namespace, timedelta(days=settings.stream_max_age))
        await self._broker.ensure(specs, [])
        self._publisher = self._broker.publisher()
        self._open.push_async_callback(self._publisher.close)
        if self._outbox_url is not None:
            events = wire.stream(self._namespace, "events")
            self._outbox = await enter(
                application_outbox(self._outbox_url, self._broker, self._publisher, specs, events)
            )
        milestones = wire.saga_subject(self._namespace, "*", "*")
        await self._broker.client.take(milestones, self._told)

    @overload
    async def start(self, saga: type[Saga[S]], event: S, /, *, tx: Tx | None = None) -> Run: ...
    @overload
    async def start(
        self, saga: type[ProcessManager[Any]] | type[Choreography], event: Event, /, *, tx: Tx | None = None
    ) -> Run: ...
    async def start(
        self,
        saga: type[Saga[Any]] | type[ProcessManager[Any]] | type[Choreography],
        event: Event,
        /,
        *,
        tx: Tx | None = None,
    ) -> Run:
        """Publish the start event. The same event again is the same start, and changes nothing.

        Returns when the broker has stored it; with `tx`, a transaction in the database at `outbox_url`, when it is
        recorded there, to be published after the commit. Raises `PublishFailed` where the broker refuses, for
        size say, and `NoOutbox`.
        """
        definition: AnyDefinition = saga.definition
        body = event.model_dump_json()
        return await self.publish_start(definition.name, event.subject, definition.key_of(event), body, tx=tx)

    async def start_many(self, saga: type[Saga[S]], events: Iterable[S], /) -> Sequence[Run]:
        """Publish many start events together, which costs a small part of as many calls of `start`.

        Returns when the broker has stored them all. Raises `PublishFailed` with those that it refuses;
        where one cannot be sent at all, for its size, nothing is sent.
        """
        definition: AnyDefinition = saga.definition
        messages: list[Outgoing] = []
        runs: list[Run] = []
        for event in events:
            id_ = saga_id(self._namespace, definition.name, definition.key_of(event))
            message = self._start_message(id_, event.subject, event.model_dump_json())
            messages.append(message)
            runs.append(Run(self, id_, message.message_id))
        await self._publisher.publish(messages)
        return runs

    async def publish_start(
        self, saga: str, subject: str, key: str, body: str, *, tx: Tx | None = None
    ) -> Run:
        """Publish a start event that is JSON already."""
        id_ = saga_id(self._namespace, saga, key)
        message = self._start_message(id_, subject, body)
        if tx is None:
            await self._publisher.publish([message])
        elif self._outbox is not None:
            self._publisher.check([message])
            await self._outbox.enqueue(tx, [message])
        else:
            raise NoOutbox(
                "expected Client(outbox_url=...), the database that the transaction is in, where start is given "
                "a transaction; got none"
            )
        return Run(self, id_, message.message_id)

    def _start_message(self, saga: UUID, subject: str, body: str) -> Outgoing:
        identity = message_id(subject, body)
        headers: dict[str, str] = {
            wire.CE_SPECVERSION: "1.0",
            wire.CE_ID: str(identity),
            wire.CE_SOURCE: f"/amends/{self._namespace}/client",
            wire.CE_TYPE: subject,
            wire.CE_TIME: wire.timestamp(SystemClock().now()),
            wire.SAGA_ID: str(saga),  # by which workers tell who of them gets what comes of it
        }
        place = wire.event_subject(self._namespace, subject)
        return Outgoing(str(identity), place, headers, body.encode())

    async def act(self, saga_id: UUID, action: Action) -> None:
        """Do this to the saga: here where that needs no definition, else in a worker that holds its version.

        Raises `ActionRefused`, and `VersionNotHeld` where no such worker is running; `NoAnswer` where one is and does
        not answer: then the same action again is safe.
        """
        action = replace(action, by=action.by or operator(self._settings))
        try:
            await act(self._store, self._publisher, Registry(()), self._namespace, saga_id, action)
        except VersionNotHeld as needed:
            await self._ask_worker(saga_id, action, needed)

    @property
    def bulk(self) -> Bulk:
        """The same on many sagas, as jobs that go on after a crash."""
        return Bulk(self._store, self._store.jobs, SystemClock(), self.act)

    async def _ask_worker(self, saga_id: UUID, action: Action, needed: VersionNotHeld) -> None:
        subject = wire.action_subject(self._namespace, needed.saga, needed.version)
        try:
            answer = await ask(self._broker, subject, question(saga_id, action))
        except NobodyAnswers as nobody:
            raise needed from nobody
        read_answer(answer)

    async def outcome(self, run: Run) -> str:
        """The saga's final status, when it has one. Raises `NotStarted`."""
        told = asyncio.Event()
        waiting = self._waiting.setdefault(str(run.id), set())
        waiting.add(told)
        try:
            while True:
                told.clear()
                if status := await self._final_status(run):
                    return status
                # The message that wakes us may be lost on the way; the store is what counts.
                await _soon(told)
        finally:
            waiting.discard(told)
            if not waiting:
                self._waiting.pop(str(run.id), None)

    async def _final_status(self, run: Run) -> str | None:
        rows = await self._store.saga_rows(saga_id=run.id)
        status = rows[0].status if rows else ""
        if status and status not in FINAL:
            return None
        if status and (await self._store.history(run.id))[0].event.cause == run.message_id:
            return status
        if reason := await self._store.dead_reason(run.message_id):
            raise NotStarted(reason)
        return None

    def _told(self, _subject: str, _reply: str, headers: bytes, _body: bytes) -> None:
        saga = header_fields(headers).get(wire.SAGA_ID) if self._waiting else None
        for waiting in self._waiting.get(str(saga), ()):
            waiting.set()


async def _soon(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_LOOK_AGAIN):
            await event.wait()
    except TimeoutError:
        return
