"""A scenario: what the test tells a saga, what it expects of it, and what the services answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from pydantic_core import to_json

from amends.domain import wire
from amends.domain.definition import Asking
from amends.domain.errors import NoReply
from amends.domain.events import EventPublished
from amends.domain.evolve import fold
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded
from amends.domain.identity import saga_id
from amends.domain.inputs import Cancel
from amends.domain.messages import Command, Event, Message
from amends.domain.state import SagaState
from amends.domain.wire import Direction
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant.answers import Writer
from amends.participant.memory import Answer
from amends.projections.story import standing
from amends.testing import invariants
from amends.testing.exploring.likeness import plan_of
from amends.testing.kit.asked import Asked
from amends.testing.kit.errors import BadScript
from amends.testing.kit.report import Script, failure
from amends.testing.kit.system import System

C = TypeVar("C", bound=Command[Any])

CRASH_POINTS: Final = ("received", "loaded", "committed", "published", "acknowledged")
"""Where in a batch a worker can be made to die, in the order in which it comes there."""


class Scenario:
    """One saga and its services, played by the test. Made by the fixture `saga_test`.

    Every method that expects something raises `AssertionError`, with what the test said beside what was recorded.
    """

    def __init__(self, definition: AnyDefinition, system: System) -> None:
        self._definition = definition
        self._system = system
        self._script = Script()
        self._key = ""
        self._open: list[Incoming] = []
        self._met: set[str] = set()
        self._heard: set[UUID] = set()
        self._numbers = count(1)

    # What happens

    def start(self, event: Event, *, message_id: str = "start") -> Self:
        """The event comes that starts the saga. Raises `BadScript` where it starts another."""
        if event.subject not in self._definition.start_subjects:
            expected = " or ".join(self._definition.start_subjects)
            raise BadScript(f"expected {expected}, which starts {self._definition.name}, got {event!r}")
        self._key = self._definition.key_of(event)
        self.said(f"start {event!r}")
        self._publish(event, message_id, {})
        self._check_compensations()
        return self

    def publish(self, event: Event, *, message_id: str = "") -> Self:
        """Another event comes, for instance one that a step waits for; it carries this saga's key."""
        self.said(f"publish {event!r}")
        headers = {wire.SAGA: f"{self._definition.name}@{self._definition.version}", wire.KEY: self._key}
        self._publish(event, message_id or f"event-{next(self._numbers)}", headers)
        return self

    def advance(self, duration: timedelta | None = None, **parts: float) -> Self:
        """Let time pass, `advance(minutes=31)`; what falls due on the way happens at its moment."""
        length = (duration or timedelta()) + timedelta(**parts)
        self.said(f"advance {length}")
        self._system.advance(length)
        return self

    def cancel(self, reason: str = "the test cancels it") -> Self:
        """Somebody wants the saga undone. Raises `ActionRefused` where that is impossible."""
        self.said(f"cancel: {reason}")
        self._settle()
        self._system.act(self.id, Cancel(f"cancel-{next(self._numbers)}", reason, by="test"))
        return self

    def crash(self, at: str = "") -> Self:
        """The worker dies, now or the next time that it comes to a point of `CRASH_POINTS`; another takes over.

        Raises `BadScript` for a point that there is not.
        """
        if at and at not in CRASH_POINTS:
            raise BadScript(f"expected a point among {', '.join(CRASH_POINTS)}, got {at!r}")
        self.said(f"crash at {at}" if at else "crash")
        self._system.crash(at)
        return self

    # What is expected

    def expect(self, command: type[C], **fields: Any) -> Asked[C]:
        """The saga has sent this command, and no `expect` has met it yet; `fields` are values that it must have."""
        __tracebackhide__ = True
        wanted = _shown(command, fields)
        self.said(f"expect {wanted}")
        self._settle()
        for message in self._open:
            asked = self._read(command, message)
            if asked is not None and _has(asked, fields):
                self._open.remove(message)
                self._met.add(message.headers[wire.IDEMPOTENCY_KEY])
                return Asked(self, asked, message)
        raise self._failed(f"the command {wanted}", self._commands_open())

    def expect_event(self, event: type[Event], **fields: Any) -> Self:
        """The saga has published this event, and no `expect_event` has met it yet; `fields` as for `expect`."""
        __tracebackhide__ = True
        wanted = _shown(event, fields)
        self.said(f"expect event {wanted}")
        self._settle()
        told = [each.event for each in self.history if isinstance(each.event, EventPublished)]
        for published in told:
            if published.message_id not in self._heard and published.subject == event.subject:
                came = event.model_validate_json(to_json(published.event))
                if _has(came, fields):
                    self._heard.add(published.message_id)
                    return self
        subjects = ", ".join(published.subject for published in told) or "none"
        raise self._failed(f"the event {wanted}", subjects)

    def expect_nothing(self) -> Self:
        """No command is out that was not met by an `expect`; further attempts of those that were do not count."""
        __tracebackhide__ = True
        self.said("expect nothing")
        self._settle()
        if any(message.headers[wire.IDEMPOTENCY_KEY] not in self._met for message in self._open):
            raise self._failed("no further command", self._commands_open())
        return self

    def settles(self, status: str) -> Self:
        """The saga is over: `completed`, `compensated` or `failed`, and no command was left unmet."""
        __tracebackhide__ = True
        self.expect_nothing()
        self.said(f"settles {status}")
        if self.status != status:
            raise self._failed(f"that it is {status}", self._where_it_stands())
        self._check_points()
        self._check_invariants()
        return self

    def parks(self, step: str) -> Self:
        """A person has been told of this step; slow retries go on."""
        __tracebackhide__ = True
        self.said(f"parks {step}")
        self._settle()
        waits = standing(self.state, len(self.history))["waits"]
        if not any(wait["step"] == step and wait["parked"] for wait in waits):
            raise self._failed(f"that {step} is parked", self._where_it_stands())
        return self

    # What can be seen

    @property
    def id(self) -> UUID:
        """The saga's id."""
        if not self._key:
            raise BadScript("expected start(…) first; nothing has started yet")
        return saga_id(self._system.namespace, self._definition.name, self._key)

    @property
    def history(self) -> Sequence[Recorded]:
        """All events so far."""
        return self._system.history(self.id) if self._key else ()

    @property
    def state(self) -> SagaState:
        """The state after all events so far. Raises `BadScript` where nothing is recorded yet."""
        self._settle()
        state = fold((recorded.event for recorded in self.history), self.id)
        if state is None:
            raise BadScript("expected start(…) first; nothing is recorded yet")
        return state

    @property
    def status(self) -> str:
        """`running`, `compensating`, `completed`, `compensated` or `failed`."""
        return str(self.state.status)

    @property
    def now(self) -> datetime:
        """The time, which only `advance` moves."""
        return self._system.now()

    def said(self, text: str) -> None:
        """Add a line to the script that an assertion error shows."""
        self._script.add(text, len(self.history))

    def answer(self, message: Incoming, command: type[Command[Any]], answer: Answer, times: int) -> None:
        """Publish an answer, each time as a message of its own."""
        writer = Writer(self._system.namespace, command.subject.partition(".")[0], wire.MAX_MESSAGE)
        subjects = wire.reply_subjects(command.subject, command.reply_type().subject)
        reply = writer.reply(message, answer, subjects, self._system.now())
        for _ in range(times):
            twice = (
                f"{reply.message_id}/{next(self._numbers)}"  # beyond what the broker recognises as a repeat
            )
            self._system.publish(
                Outgoing(reply.message_id, reply.subject, reply.headers, reply.body, deduplication_id=twice)
            )

    def is_foreign(self, message: Incoming) -> bool:
        """Whether this command goes to a foreign service."""
        step = plan_of(self._definition, self.state).step(message.headers[wire.STEP])
        direction = Direction(message.headers[wire.DIRECTION])
        return direction is not Direction.CLOSE and step.asking(direction).foreign is not None

    def close(self) -> None:
        """End the worker."""
        self._system.close()

    # Inside

    def _publish(self, event: Event, message_id: str, headers: dict[str, str]) -> None:
        subject = wire.event_subject(self._system.namespace, event.subject)
        headers = {wire.CE_ID: message_id, wire.CE_TYPE: event.subject, **headers}
        body = to_json(event.model_dump(mode="json"))
        self._system.publish(Outgoing(message_id, subject, headers, body))

    def _settle(self) -> None:
        __tracebackhide__ = True
        self._open += self._system.commands()
        error = self._system.quarantined(self.id) if self._key else ""
        if error:
            raise self._failed("that every input can be decided", f"a saga in quarantine: {error}")

    def _read(self, command: type[C], message: Incoming) -> C | None:
        if message.subject != wire.command_subject(self._system.namespace, command.subject):
            return None
        return command.model_validate_json(message.body)

    def _check_compensations(self) -> None:
        """A compensation must not need a reply: where its step timed out, there is none."""
        __tracebackhide__ = True
        state = self.state
        view = self._definition.view(state)
        for step in plan_of(self._definition, state).steps:
            if step.compensation is not None and (needs := _raised(step.compensation, view)):
                raise self._failed(f"that the compensation of {step.name} can do without replies", needs)

    def _check_points(self) -> None:
        __tracebackhide__ = True
        if left := self._system.armed():
            raise self._failed(
                f"that the worker came to {', '.join(left)}, to die there", "that it never did"
            )

    def _check_invariants(self) -> None:
        __tracebackhide__ = True
        state, history = self.state, self.history
        broken = invariants.of_history(plan_of(self._definition, state), history)
        if broken := [*broken, *invariants.of_wake_up(state, history)]:
            raise self._failed("that the invariants hold", "; ".join(broken))

    def _commands_open(self) -> str:
        prefix = len(wire.command_subject(self._system.namespace, ""))
        return ", ".join(message.subject[prefix:] for message in self._open) or "none"

    def _where_it_stands(self) -> str:
        facts = standing(self.state, len(self.history))
        waits = [f"{wait['step']} ({wait['direction']}) until {wait['until']}" for wait in facts["waits"]]
        return f"{facts['status']}, waiting for {', '.join(waits)}" if waits else facts["status"]

    def _failed(self, expected: str, came: str) -> AssertionError:
        title = f"{self._definition.name}@{self._definition.version} {self._key}"
        return AssertionError(failure(expected, came, self._script, self.history, title))


def _shown(kind: type[Message], fields: Mapping[str, Any]) -> str:
    return ", ".join((kind.__name__, *(f"{name}={value!r}" for name, value in fields.items())))


def _has(message: Message, fields: Mapping[str, Any]) -> bool:
    return all(getattr(message, name) == value for name, value in fields.items())


def _raised(asking: Asking, view: Any) -> str:
    try:
        asking.build(view)
    except NoReply as error:
        return f"NoReply: {error}"
    return ""
