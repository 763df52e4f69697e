"""A whole system in memory: engines, a broker, a store and services, on a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from amends.domain import events as e
from amends.domain import wire
from amends.domain.history import Recorded, verify
from amends.domain.inputs import Action
from amends.domain.saga import Saga
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.broker import ConsumerSpec, StreamSpec, streams
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.memory.inbox import MemoryInbox
from amends.infrastructure.ports import Clock, Incoming, Outgoing
from amends.participant.answers import Writer
from amends.participant.memory import Answer
from amends.process_managers.acting import act
from amends.process_managers.consumers import consumer_specs
from amends.process_managers.registry import Registry
from amends.testing.processes import Process
from amends.testing.stepper import Stepper
from tests.domain.driver import BODIES, Order

NAMESPACE = "test"


class Died(Exception):
    """A process is no more."""


class Services:
    """Every service at once. `says` maps what is asked ("ship", "undo reserve") to an outcome, or to silence."""

    def __init__(self, broker: MemoryBroker, clock: Clock) -> None:
        self.says: dict[str, Outcome | None] = {}
        self.asked: list[str] = []
        self.received: list[Incoming] = []
        self._spec = ConsumerSpec(wire.stream(NAMESPACE, "commands"), "services", (f"{NAMESPACE}.cmd.>",))
        self._broker = broker
        self._clock = clock
        self._inbox = broker.inbox([self._spec])
        self._writer = Writer(NAMESPACE, "services", wire.MAX_MESSAGE)

    async def open(self) -> None:
        await self._broker.ensure((), [self._spec])

    async def serve(self) -> int:
        """Answer every command that is there; returns how many there were."""
        commands = await self._inbox.receive(1000, 0)
        for command in commands:
            asked = name_of(command)
            self.asked.append(f"{asked} {command.headers[wire.KEY]}")
            self.received.append(command)
            outcome = self.says.get(asked, Outcome.SUCCEEDED)
            if outcome is not None:
                await self.answer(command, outcome)
        await self._inbox.acknowledge(commands)
        return len(commands)

    async def answer(self, command: Incoming, outcome: Outcome) -> None:
        """Tell the outcome; what is told twice is a second message, as after a long time."""
        subject = command.subject.removeprefix(f"{NAMESPACE}.cmd.")
        body = BODIES.get(subject, b"{}") if outcome is Outcome.SUCCEEDED else b'{"reason": "no"}'
        reply = self._writer.reply(
            command, Answer(outcome, body), wire.reply_subjects(subject, REPLIES[subject]), self._clock.now()
        )
        await self._broker.publisher().publish([replace(reply, deduplication_id="")])

    def ids(self) -> list[str]:
        return [each.headers[wire.CE_ID] for each in self.received]


class System:
    """Sagas in memory, on a `Stepper`. Time passes only by `later`."""

    def __init__(self, first: StreamSpec | None = None) -> None:
        """`first` is the stream of commands, where it is to be another than usual."""
        own = streams(NAMESPACE, timedelta(days=7))
        self.stepper = Stepper(namespace=NAMESPACE, streams=[first or own[0], *own[1:]])
        self.clock = self.stepper.clock
        self.broker = self.stepper.broker
        self.store = self.stepper.store
        self.services = Services(self.broker, self.clock)
        self._inbox: MemoryInbox

    async def open(self) -> None:
        await self.services.open()

    async def close(self) -> None:
        self.stepper.close()

    async def inbox(self, *sagas: type[Saga[Any]]) -> MemoryInbox:
        """The messages of these sagas, as a worker gets them."""
        registry = Registry(saga.definition for saga in sagas)
        await self.store.register(registry.shapes())
        specs = consumer_specs(registry, await self.store.shapes(), NAMESPACE, "all")
        await self.broker.ensure((), specs)
        self._inbox = self.broker.inbox(specs)
        return self._inbox

    async def engine(self, *sagas: type[Saga[Any]], name: str = "one", **ports: Any) -> Process:
        """Start a worker; `ports` replace those of the system."""
        chosen = sagas or (Order,)
        await self.inbox(*chosen)
        return self.stepper.worker(name, [saga.definition for saga in chosen], **ports)

    async def stop(self, engine: Process) -> None:
        self.stepper.stop(engine.name)

    async def died(self, engine: Process) -> None:
        """Have the engine work until it has died of what its ports did."""
        with pytest.raises(Died):
            self.stepper.settle()
        assert not engine.alive

    async def place(self, *keys: str, total: int = 100, message_id: str = "") -> None:
        """Publish the start events of these orders."""
        for key in keys:
            identity = message_id or f"start-{key}"
            body = f'{{"order_id": "{key}", "total": {total}}}'.encode()
            await self.tell("orders.placed", identity, body)

    async def tell(self, subject: str, identity: str, body: bytes) -> None:
        place = wire.event_subject(NAMESPACE, subject)
        await self.broker.publisher().publish([Outgoing(identity, place, {wire.CE_ID: identity}, body)])

    async def act(
        self, action: Action, key: str = "o1", *, sagas: Sequence[type[Saga[Any]]] = (Order,)
    ) -> None:
        """What an operator does, where these definitions are at hand."""
        registry = Registry(saga.definition for saga in sagas)
        await act(self.store, self.broker.publisher(), registry, NAMESPACE, self.id(key), action)

    async def rest(self) -> None:
        """Let every engine work until it waits for a message or for time to pass."""
        self.stepper.settle()

    async def settle(self) -> None:
        """Let engines and services work until neither has anything to do at this time."""
        await self.rest()
        while await self.services.serve():
            await self.rest()

    async def later(self, **duration: float) -> None:
        """Let time pass in steps of a second at most, and everybody work in between."""
        left = timedelta(**duration)
        while left > timedelta(0):
            self.stepper.advance(min(left, timedelta(seconds=1)))
            left -= timedelta(seconds=1)
            await self.settle()

    async def history(self, key: str = "o1", saga: str = "order") -> list[Recorded]:
        history = await self.store.history(self.id(key, saga))
        verify(history)
        return history

    async def told(self, key: str = "o1", saga: str = "order") -> list[str]:
        """The types of the events of one saga."""
        return [recorded.event.type for recorded in await self.history(key, saga)]

    async def status(self, key: str = "o1", saga: str = "order") -> str:
        rows = await self.store.saga_rows(saga_id=self.id(key, saga))
        return rows[0].status if rows else "unknown"

    async def statuses(self) -> set[str]:
        return {row.status for row in await self.store.saga_rows(limit=10_000)}

    async def published(self, what: str) -> list[Incoming]:
        """All that was ever published on `commands`, `sagas` or `dead`."""
        return self.stepper.published(what)

    def id(self, key: str = "o1", saga: str = "order") -> UUID:
        return self.stepper.id(saga, key)

    async def nothing_is_left(self) -> None:
        """Every message is acknowledged, and an idle engine has told the store what it published."""
        await self.later(seconds=1)
        assert not await self.store.unpublished(10_000, timedelta(0))
        assert await self._inbox.handled_until() is None


def name_of(command: Incoming) -> str:
    """What a command asks for, as the services are asked: "ship", "undo reserve", "close ship"."""
    word = {Direction.FORWARD: "", Direction.COMPENSATE: "undo ", Direction.CLOSE: "close "}
    return word[Direction(command.headers[wire.DIRECTION])] + command.headers[wire.STEP]


def commands(history: Sequence[Recorded]) -> list[e.CommandRecorded]:
    return [each.event for each in history if isinstance(each.event, e.CommandRecorded)]


class Instead:
    """A port that does what another does, except in one call."""

    def __init__(self, port: object, **calls: Callable[..., Awaitable[Any]]) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return self._calls.get(name) or getattr(self._port, name)


def _replies() -> dict[str, str]:
    asked = [asking for step in Order.definition.steps for asking in (step.forward, step.compensation)]
    return {
        command.subject: command.reply_type().subject
        for asking in asked
        if asking is not None
        for command in asking.commands
    }


REPLIES = _replies()
