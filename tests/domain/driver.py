"""Plays a script of answers and passing time against one saga; checks the invariants after every event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.errors import ActionRefused
from amends.domain.history import Recorded
from amends.domain.identity import saga_id
from amends.domain.inputs import Cancel, Input, Migrate, Resume, Suspend
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from amends.domain.saga import Saga, step
from amends.domain.state import SagaState
from amends.domain.told import Admit, Arrival, Reply, Start, Tick
from amends.domain.wire import Direction, Outcome
from amends.testing import invariants

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Placed(Event, subject="orders.placed"):
    order_id: str
    total: int = 100


class Reserved(Event, subject="inventory.reserved"):
    reservation: str = "r1"


class Charged(Event, subject="payments.charged"):
    payment: str


class Released(Event, subject="inventory.released"):
    reservation: str


class Reserve(Command[Reserved], subject="inventory.reserve"):
    order_id: str


class Release(Command[Released], subject="inventory.release"):
    order_id: str


class Charge(Command[Charged], subject="payments.charge"):
    order_id: str
    amount: int


class Refund(Command, subject="payments.refund"):
    order_id: str


class Ship(Command, subject="shipping.ship"):
    order_id: str


class Notify(Command, subject="mail.notify"):
    order_id: str


RETRY = Retry(attempts=3, delay=SECOND, cap=SECOND * 10, slow=SECOND * 100)


class Order(Saga[Placed], name="order", version=1, key="order_id", deadline=timedelta(hours=1)):
    """reserve, charge, ship (the pivot), notify."""

    @step(timeout=SECOND * 10, retry=RETRY)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @reserve.compensate(timeout=SECOND * 10, retry=RETRY)
    def release(self) -> Release:
        return Release(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @charge.compensate(timeout=SECOND * 10, retry=RETRY)
    def refund(self) -> Refund:
        return Refund(order_id=self.key)

    @step(pivot=True, timeout=SECOND * 10, retry=RETRY)
    def ship(self) -> Ship:
        return Ship(order_id=self.key)

    @step(timeout=SECOND * 10, retry=RETRY)
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


BODIES: dict[str, bytes] = {
    Reserve.subject: b'{"reservation":"r1"}',
    Release.subject: b'{"reservation":"r1"}',
    Charge.subject: b'{"payment":"p1"}',
}
"""What each service answers; the others answer with nothing."""

_DIRECTIONS = {"undo": Direction.COMPENSATE, "close": Direction.CLOSE}


@dataclass(frozen=True)
class Sent:
    """A command that was recorded."""

    name: str  # "reserve", "undo reserve", "close ship"
    event: e.CommandRecorded


class Play:
    """One saga under a virtual clock. Commands are named `step`, `undo step` and `close step`."""

    def __init__(
        self,
        saga: type[Saga[Any]] | Definition = Order,
        *,
        start: bool = True,
        limited: Collection[str] = (),
        **fields: Any,
    ) -> None:
        self.limited = limited
        self.definition = saga if isinstance(saga, Definition) else saga.definition
        self.older: list[Definition] = []
        self.now = T0
        body = self.definition.start.model_validate({"order_id": "o1", **fields})
        self.id = saga_id("test", self.definition.name, "o1")
        self.aggregate = SagaAggregate(self.id)
        self.history: list[Recorded] = []
        self.inputs: list[Input] = []
        self._messages = 0
        self.first = Start(
            "start-1", self.id, "test", "o1", self.definition.start.subject, body.model_dump(mode="json")
        )
        if start:
            self.give(self.first)

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
    def sent(self) -> list[str]:
        """Every command, in the order of recording, each attempt named."""
        return [name_of(event) for event in self.commands]

    @property
    def commands(self) -> list[e.CommandRecorded]:
        return [event for event in self.events if isinstance(event, e.CommandRecorded)]

    def give(self, given: Input) -> Sequence[e.SagaEvent]:
        """Decide, append, check; then decide again, which must yield nothing."""
        events = self._decide(given)
        self.history += self.aggregate.append(events)
        self.inputs.append(given)
        self.check()
        if self.aggregate.state is not None:
            repeated = self._decide(given)
            # Without a delay, a retry falls due in the very instant of the failure.
            assert isinstance(given, Tick) or not repeated, f"14: applied twice: {repeated}"
        return events

    def _decide(self, given: Input) -> Sequence[e.SagaEvent]:
        state = self.aggregate.state
        turn = take_turn(self.definition, self.id, state, given, self.now, "test", limited=self.limited)
        return turn.events

    def admit(self, command: str) -> Sequence[e.SagaEvent]:
        """Its limits allow the latest attempt of this command to leave."""
        event = [event for event in self.commands if name_of(event) == command][-1]
        return self.give(Admit(event.command_id))

    def check(self) -> None:
        broken = invariants.of_history(self.definition, self.history, *self.older)
        if self.aggregate.state is not None:
            broken += invariants.of_wake_up(self.state, self.history)
            broken += invariants.of_live_state(self.state, self.history)
        assert not broken, "\n".join([*broken, *self.told()])

    def answer(
        self, command: str, outcome: Outcome, *, attempt: int = 0, **fields: Any
    ) -> Sequence[e.SagaEvent]:
        """A reply to the latest attempt of this command, or to the one numbered (from 1, over all rounds)."""
        matching = [event for event in self.commands if name_of(event) == command]
        assert matching, f"{command} was not asked; asked were {self.sent}"
        event = matching[attempt - 1 if attempt else -1]
        self._messages += 1
        reply = Reply(f"reply-{self._messages}", event.command_id, outcome)
        if outcome is Outcome.SUCCEEDED:
            reply = replace(reply, body=BODIES.get(event.subject, b"{}"))
        return self.give(replace(reply, **fields))

    def succeed(self, *commands: str, **fields: Any) -> Sequence[e.SagaEvent]:
        events: Sequence[e.SagaEvent] = ()
        for command in commands:
            events = self.answer(command, Outcome.SUCCEEDED, **fields)
        return events

    def reject(self, command: str, **fields: Any) -> Sequence[e.SagaEvent]:
        return self.answer(command, Outcome.REJECTED, **{"reason": "no", **fields})

    def fail(self, command: str, **fields: Any) -> Sequence[e.SagaEvent]:
        return self.answer(command, Outcome.FAILED, **{"reason": "broken", **fields})

    def arrive(self, event: Event, message_id: str = "") -> Sequence[e.SagaEvent]:
        """An event comes that the saga listens to; each call is another one, unless it has a message id."""
        self._messages += 1
        identity = message_id or f"event-{self._messages}"
        return self.give(Arrival(identity, event.subject, event.model_dump_json().encode()))

    def tick(self, **fields: Any) -> Sequence[e.SagaEvent]:
        """Time falls due: jump to the saga's wake-up, and apply it."""
        assert self.state.wake_up is not None, f"{self.state.status} and never looked at again"
        self.now = max(self.now, self.state.wake_up)
        return self.give(Tick(**fields))

    def wait(self, duration: timedelta) -> Sequence[e.SagaEvent]:
        """Time passes, and the saga is looked at once."""
        self.now += duration
        return self.give(Tick())

    def until(self, done: Callable[[], bool], at_most: int = 50) -> None:
        """Let timers fall due until something is so."""
        for _ in range(at_most):
            if done():
                return
            self.tick()
        raise AssertionError(f"not reached: {self.told()}")

    def time_out(self, command: str) -> None:
        """Nobody answers this command until its retries are used up, and it is awaited no longer."""
        step_, direction = named(command)
        line = self.state.step(step_).line(direction)
        assert line.rounds, f"{command} was not asked; asked were {self.sent}"
        self.until(lambda: not self.state.is_active(step_, direction))

    def cancel(self, message_id: str = "cancel-1", reason: str = "changed my mind") -> Sequence[e.SagaEvent]:
        return self.give(Cancel(message_id, reason))

    def suspend(self, message_id: str = "suspend-1", reason: str = "an outage") -> Sequence[e.SagaEvent]:
        return self.give(Suspend(message_id, reason, by="ops"))

    def resume(self, message_id: str = "resume-1", reason: str = "it is over") -> Sequence[e.SagaEvent]:
        return self.give(Resume(message_id, reason, by="ops"))

    def migrate(
        self, to: type[Saga[Any]], request: str = "migrate-1", reason: str = "a better way"
    ) -> Sequence[e.SagaEvent]:
        """Go on under another version, which decides from here on unless it refuses."""
        newer = to.definition
        before, self.definition = self.definition, newer
        self.older.append(before)
        try:
            return self.give(Migrate(request, reason, to=newer.version, by="ops"))
        except ActionRefused:
            self.definition = self.older.pop()
            raise

    def told(self) -> list[str]:
        """The history as one line per event."""
        lines = []
        for event in self.events:
            step_ = getattr(event, "step", "")
            direction = getattr(event, "direction", "")
            lines.append(" ".join(filter(None, [event.type, step_, direction])))
        return lines

    def count(self, kind: type[e.SagaEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


def name_of(event: e.OfCommand) -> str:
    prefix = next((f"{word} " for word, d in _DIRECTIONS.items() if d is event.direction), "")
    return f"{prefix}{event.step}"


def named(command: str) -> tuple[str, Direction]:
    word, _, rest = command.rpartition(" ")
    return rest, _DIRECTIONS.get(word, Direction.FORWARD)
