"""Plays events, answers and passing time against one process manager, and checks it after every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from amends import Event, ProcessManager
from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.history import Recorded
from amends.domain.identity import saga_id
from amends.domain.inputs import Cancel, Input
from amends.domain.saga import Saga
from amends.domain.state import SagaState
from amends.domain.told import Arrival, Reply, Start, Tick
from amends.domain.wire import Outcome
from amends.testing import invariants
from tests.domain.driver import T0, name_of


class Told:
    """One saga of any style under a virtual clock. A command is named by its subject: `undo payments.charge`."""

    def __init__(
        self, saga: type[ProcessManager[Any]] | type[Saga[Any]], event: Event, *, key: str = "o1"
    ) -> None:
        self.definition: AnyDefinition = saga.definition
        self.now = T0
        self.id = saga_id("test", self.definition.name, key)
        self.aggregate = SagaAggregate(self.id)
        self.history: list[Recorded] = []
        self.refused: Sequence[LearntKey] = ()
        self.key = key
        self._messages = 0
        self.start(event, message_id="start-1")

    @property
    def state(self) -> SagaState:
        assert self.aggregate.state is not None
        return self.aggregate.state

    @property
    def status(self) -> str:
        return str(self.state.status)

    @property
    def events(self) -> list[e.SagaEvent]:
        return [recorded.event for recorded in self.history]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def commands(self) -> list[e.CommandRecorded]:
        return [event for event in self.events if isinstance(event, e.CommandRecorded)]

    @property
    def sent(self) -> list[str]:
        """Every command in the order of recording, by what is asked of whom."""
        return [_asked(event) for event in self.commands]

    def give(self, given: Input) -> Sequence[e.SagaEvent]:
        """Decide, append, check; then decide again, which must yield nothing."""
        events = self._decide(given)
        self.history += self.aggregate.append(events)
        self.check()
        assert isinstance(given, Tick) or not self._decide(given), f"applied twice: {given}"
        return events

    def start(self, event: Event, *, message_id: str = "") -> Sequence[e.SagaEvent]:
        body = event.model_dump(mode="json")
        return self.give(Start(message_id or self._next(), self.id, "test", self.key, event.subject, body))

    def tell(self, event: Event, *, message_id: str = "") -> Sequence[e.SagaEvent]:
        """An event comes for this saga."""
        body = event.model_dump_json().encode()
        return self.give(Arrival(message_id or self._next(), event.subject, body))

    def answer(self, asked: str, outcome: Outcome, body: Event | None = None) -> Sequence[e.SagaEvent]:
        """An answer to the latest command of this name."""
        command = next(each for each in reversed(self.commands) if _asked(each) == asked)
        reply = Reply(self._next(), command.command_id, outcome, reason="no")
        if outcome is Outcome.SUCCEEDED and body is not None:
            reply = replace(reply, body=body.model_dump_json().encode())
        return self.give(reply)

    def succeed(self, asked: str, body: Event | None = None) -> Sequence[e.SagaEvent]:
        return self.answer(asked, Outcome.SUCCEEDED, body)

    def reject(self, asked: str) -> Sequence[e.SagaEvent]:
        return self.answer(asked, Outcome.REJECTED)

    def wait(self, duration: timedelta) -> Sequence[e.SagaEvent]:
        self.now += duration
        return self.give(Tick())

    def time_out(self, asked: str) -> None:
        """Nobody answers this command until its retries are used up."""
        while self.state.wake_up is not None and self.sent[-1] == asked:
            self.wait(self.state.wake_up - self.now)

    def cancel(self) -> Sequence[e.SagaEvent]:
        return self.give(Cancel(self._next(), "changed my mind"))

    def check(self) -> None:
        definition = self.definition
        steps = definition.plan(self.state) if isinstance(definition, ManagerDefinition) else definition
        assert isinstance(steps, Definition)
        broken = [
            *invariants.of_history(steps, self.history),
            *invariants.of_wake_up(self.state, self.history),
            *invariants.of_live_state(self.state, self.history),
        ]
        assert not broken, "\n".join([*broken, *self.types])

    def _decide(self, given: Input) -> Sequence[e.SagaEvent]:
        turn = take_turn(
            self.definition, self.id, self.aggregate.state, given, self.now, "test", self.refused
        )
        return turn.events

    def _next(self) -> str:
        self._messages += 1
        return f"message-{self._messages}"


def _asked(event: e.CommandRecorded) -> str:
    word = name_of(event).removesuffix(event.step)
    return f"{word}{event.subject}" if word != "undo " else event.subject
