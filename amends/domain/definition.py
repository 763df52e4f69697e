"""A saga type as data: what the decider needs to know of a definition, and the shape that is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from amends.domain.announcing import Announcing
from amends.domain.choreography.chain import Chain
from amends.domain.correlation import Correlation, NoKey, key_of
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.foreign import ForeignAnswers
from amends.domain.graph import Graph
from amends.domain.messages import Command, Event, Message
from amends.domain.migration import Migration
from amends.domain.policy import DEFAULT_RETRY, DEFAULT_TIMEOUT, Retry
from amends.domain.state import SagaState
from amends.domain.waiting import Waiting
from amends.domain.wire import HEADERS, MAX_MESSAGE, Direction, reply_subjects

AnyCommand = Command[Any]

_MOST: Final = MAX_MESSAGE - HEADERS
"""Bytes that a command may have as JSON."""

CHOREOGRAPHY: Final = "choreography"
"""What the shape of a chain says of its style."""

E = TypeVar("E", bound=Event)


class BadCommand(AmendsError):
    """A step function returned something other than the command that it declares, or one too large."""


class InvalidMessage(AmendsError):
    """A message's body is not what its type says."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a step asks a service, forward or compensating."""

    build: Callable[[Any], AnyCommand | None]
    commands: tuple[type[AnyCommand], ...]
    timeout: timedelta
    retry: Retry
    ask_again: tuple[timedelta, ...] = ()
    """How long after each rejection a new round is opened, before a rejection counts."""
    foreign: ForeignAnswers | None = None
    """How its service answers, where it is foreign: it keeps none of the promises."""


ASKS_NOBODY: Final = Asking(lambda _: None, (), DEFAULT_TIMEOUT, DEFAULT_RETRY)
"""How a step asks that waits for an event, or publishes one: not at all."""


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step of a definition. `after` names the steps that must be done or skipped before it begins.

    A step that asks a service has a `forward`; one that waits for an event has `wait` instead, and one that
    publishes one `announces`. A `tolerated` step may be rejected without the saga turning back; else `when_rejected`
    is published when it does.
    """

    name: str
    forward: Asking
    compensation: Asking | None
    pivot: bool
    after: tuple[str, ...] = ()
    tolerated: bool = False
    wait: Waiting | None = None
    announces: Announcing | None = None
    when_rejected: Announcing | None = None

    def asking(self, direction: Direction) -> Asking:
        """How the step asks in this direction; a close is asked as the step itself is."""
        asking = self.compensation if direction is Direction.COMPENSATE else self.forward
        assert asking is not None
        return asking

    @property
    def hears(self) -> Iterator[Correlation]:
        """The events that it waits for, and those by which foreign services answer it."""
        if self.wait is not None:
            yield from self.wait.correlations
        for asking in (self.forward, self.compensation):
            if asking is not None and asking.foreign is not None:
                yield from asking.foreign.correlations

    def reply_type(self, subject: str, *, undoing: bool = False) -> type[Event]:
        """The event that answers the command on this subject, or the one that the step waits for.

        Raises `InvalidMessage` where this definition has no such command.
        """
        if self.wait is not None:
            return self.wait.event.event
        asking = self.compensation if undoing else self.forward
        for command in asking.commands if asking else ():
            if command.subject == subject:
                return command.reply_type()
        raise InvalidMessage(f"step {self.name!r} has no command on {subject!r} in this definition")


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a saga type. `view` makes the read-only object that step functions see as `self`.

    `listens` tells how the events find their saga that are neither starts nor answers. `order` names what each step
    comes after when it comes to undoing, where that is not what `after` says. A definition that `goes_on` is not
    completed by its steps: there may be more. `migrations` tell how sagas of older versions go on under this one.
    With a `chain` it is a choreography: its steps are the links, and nobody is asked for anything.
    `limit` is how many sagas of the type run at once, None: any number; it is no part of the shape.
    """

    name: str
    version: int
    key: tuple[str, ...]
    start: type[Event]
    deadline: timedelta | None
    steps: tuple[StepDefinition, ...]
    view: Callable[[SagaState], Any]
    listens: tuple[Correlation, ...] = ()
    order: Mapping[str, Sequence[str]] | None = None
    goes_on: bool = False
    migrations: tuple[Migration, ...] = ()
    chain: Chain | None = None
    limit: int | None = None

    pivot: StepDefinition | None = field(init=False)
    """The step after whose success the saga only goes forward."""
    _graph: Graph | None = field(init=False, default=None, compare=False)
    _by_name: Mapping[str, StepDefinition] = field(init=False)

    def __post_init__(self) -> None:
        pivot = next((step for step in self.steps if step.pivot), None)
        object.__setattr__(self, "pivot", pivot)
        object.__setattr__(self, "_by_name", {step.name: step for step in self.steps})

    @property
    def graph(self) -> Graph:
        """What comes before and after what; made when it is asked for, which a process manager seldom does."""
        if self._graph is None:
            order = self.order or {step.name: step.after for step in self.steps}
            object.__setattr__(self, "_graph", Graph.of(order, self.pivot.name if self.pivot else None))
        assert self._graph is not None
        return self._graph

    @property
    def names(self) -> Collection[str]:
        """Of all steps."""
        return self._by_name.keys()

    def step(self, name: str) -> StepDefinition:
        """The step of this name."""
        return self._by_name[name]

    def key_of(self, start: Event) -> str:
        """The business key in a start event: the field itself, or a JSON array of several.

        Raises `InvalidMessage` where a field of it is missing or empty: it would name every such occurrence.
        """
        try:
            return key_of(start, self.key)
        except NoKey as error:
            raise InvalidMessage(str(error)) from None

    @property
    def start_subjects(self) -> tuple[str, ...]:
        """The subjects, without namespace, of what starts it."""
        return (self.start.subject,)

    def read_start(self, subject: str, body: bytes) -> Event:
        """The start event in this body, which came on this subject. Raises `InvalidMessage`."""
        return read(self.start, body)

    def asks(self, subject: str) -> tuple[StepDefinition, Direction] | None:
        """The step, and which way it was asked, that a foreign service answers on this subject."""
        for step in self.steps:
            for direction in (Direction.FORWARD, Direction.COMPENSATE):
                if direction is Direction.COMPENSATE and step.compensation is None:
                    continue
                foreign = step.asking(direction).foreign
                if foreign is not None and foreign.meaning(subject) is not None:
                    return step, direction
        return None

    def hears(self, subject: str) -> Correlation | None:
        """How events on this subject, without namespace, find their saga; None: it does not listen to them."""
        return next((each for each in self.listens if each.event.subject == subject), None)

    def reply_types(self) -> dict[str, type[Event]]:
        """The event types that answer this definition's commands, by subject without namespace."""
        return {command.reply_type().subject: command.reply_type() for command in self._commands()}

    def reply_subjects(self) -> frozenset[str]:
        """Every subject, without namespace, on which an answer to this definition can come."""
        return frozenset(
            subject
            for command in self._commands()
            for subject in reply_subjects(command.subject, command.reply_type().subject)
        )

    def shape(self) -> JsonObject:
        """This definition as JSON: enough to draw a history, or route its replies, without the code."""
        shape: JsonObject = {
            "saga": self.name,
            "version": self.version,
            "key": list(self.key),
            "start": self.start.subject,
            "deadline": None if self.deadline is None else self.deadline.total_seconds(),
            "steps": [_step_shape(step) for step in self.steps],
        }
        if self.listens:
            shape["listens"] = [each.shape() for each in self.listens]
        if self.chain is not None:
            forward = {link.name for link in self.chain.forward}
            shape["steps"] = [step for step in shape["steps"] if step["name"] in forward]
            shape |= {"style": CHOREOGRAPHY, **self.chain.shape()}
        return shape

    def _commands(self) -> Sequence[type[AnyCommand]]:
        askings = [a for step in self.steps for a in (step.forward, step.compensation) if a is not None]
        return [command for asking in askings for command in asking.commands]


def listened(steps: Iterable[StepDefinition]) -> tuple[Correlation, ...]:
    """How the events that these steps hear find their saga, one for each subject."""
    found: dict[str, Correlation] = {}
    for step in steps:
        for each in step.hears:
            found.setdefault(each.event.subject, each)
    return tuple(found.values())


def build(asking: Asking, view: Any, where: str) -> AnyCommand | None:
    """The command that a step function makes, checked. Raises `BadCommand`."""
    command = asking.build(view)
    if command is None or isinstance(command, asking.commands):
        return command
    expected = " or ".join(kind.__name__ for kind in asking.commands)
    raise BadCommand(
        f"{where}: expected its function to return {expected} or None, as its annotation says; "
        f"got {type(command).__name__}"
    )


def payload(message: Message, where: str) -> JsonObject:
    """The message's body as JSON. Raises `BadCommand` where it is larger than a message may be."""
    body: JsonObject = message.model_dump(mode="json")
    size = len(to_json(body))
    if size > _MOST:
        raise BadCommand(
            f"{where}: expected a message of at most {_MOST} bytes as JSON, got {size}; "
            "put large data into a store of its own and send a reference to it"
        )
    return body


def read(kind: type[E], body: bytes) -> E:
    """The event in this body; an empty body reads as an object without fields. Raises `InvalidMessage`."""
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidMessage(f"expected a {kind.__name__} as JSON; {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[:3]
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in first)


def in_order(shape: JsonObject) -> JsonObject:
    """A recorded shape with the order of its steps: where it names none, each comes after the one before."""
    names = [step["name"] for step in shape.get("steps", ())]
    ordered = [
        {"after": names[max(0, at - 1) : at], **step} for at, step in enumerate(shape.get("steps", ()))
    ]
    return {**shape, "steps": ordered} if ordered else shape


def command_shape(command: type[AnyCommand]) -> JsonObject:
    """What is recorded of a command's type."""
    return {"type": command.__name__, "subject": command.subject, "reply": command.reply_type().subject}


def _step_shape(step: StepDefinition) -> JsonObject:
    shape: JsonObject = {"name": step.name, "kind": "command", "pivot": step.pivot, "after": list(step.after)}
    if step.when_rejected is not None:
        shape["when_rejected"] = step.when_rejected.shape()
    if step.wait is not None:
        return {**shape, "kind": "wait", "forward": None, "compensation": None, "wait": step.wait.shape()}
    if step.announces is not None:
        told = step.announces.shape()
        return {**shape, "kind": "publish", "forward": None, "compensation": None, "event": told}
    shape["forward"] = _asking_shape(step.forward)
    shape["compensation"] = None if step.compensation is None else _asking_shape(step.compensation)
    return shape


def _asking_shape(asking: Asking) -> JsonObject:
    retry = asking.retry
    shape: JsonObject = {
        "commands": [command_shape(command) for command in asking.commands],
        "timeout": asking.timeout.total_seconds(),
        "retry": {
            "attempts": retry.attempts,
            "delay": retry.delay.total_seconds(),
            "factor": retry.factor,
            "cap": retry.cap.total_seconds(),
            "slow": retry.slow.total_seconds(),
        },
    }
    if asking.ask_again:
        shape["ask_again"] = [delay.total_seconds() for delay in asking.ask_again]
    if asking.foreign is not None:
        shape["foreign"] = asking.foreign.shape()
    return shape
