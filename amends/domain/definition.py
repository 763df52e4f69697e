"""A saga type as data: what the decider needs to know of a definition, and the shape that is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from amends.domain.errors import AmendsError, DefinitionError
from amends.domain.events import JsonObject
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from amends.domain.state import SagaState
from amends.domain.wire import MAX_BODY, reply_subjects

AnyCommand = Command[Any]
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


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step of a definition."""

    name: str
    forward: Asking
    compensation: Asking | None
    pivot: bool


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a saga type. `view` makes the read-only object that step functions see as `self`."""

    name: str
    version: int
    key: tuple[str, ...]
    start: type[Event]
    deadline: timedelta | None
    steps: tuple[StepDefinition, ...]
    view: Callable[[SagaState], Any]

    @property
    def pivot(self) -> int:
        """The pivot's position; one behind the last step where there is none."""
        return next((i for i, step in enumerate(self.steps) if step.pivot), len(self.steps))

    def position(self, step: str) -> int:
        """The position of the step of this name."""
        return next(i for i, candidate in enumerate(self.steps) if candidate.name == step)

    def step(self, name: str) -> StepDefinition:
        """The step of this name."""
        return self.steps[self.position(name)]

    def key_of(self, start: Event) -> str:
        """The business key in a start event: the field itself, or a JSON array of several.

        Raises `InvalidMessage` where a field of it is missing or empty: it would name every such occurrence.
        """
        for name in self.key:
            if getattr(start, name) in (None, ""):
                raise InvalidMessage(
                    f"expected {name} of a {self.start.__name__} to name the occurrence, got nothing"
                )
        values = [str(getattr(start, name)) for name in self.key]
        return values[0] if len(values) == 1 else json.dumps(values, ensure_ascii=False)

    def read_start(self, body: bytes) -> Event:
        """The start event in this body. Raises `InvalidMessage`."""
        return read(self.start, body)

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
        return {
            "saga": self.name,
            "version": self.version,
            "key": list(self.key),
            "start": self.start.subject,
            "deadline": None if self.deadline is None else self.deadline.total_seconds(),
            "steps": [_step_shape(step) for step in self.steps],
        }

    def _commands(self) -> Sequence[type[AnyCommand]]:
        askings = [a for step in self.steps for a in (step.forward, step.compensation) if a is not None]
        return [command for asking in askings for command in asking.commands]


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


def payload(command: AnyCommand, where: str) -> JsonObject:
    """The command's body as JSON. Raises `BadCommand` where it is larger than a message may be."""
    body: JsonObject = command.model_dump(mode="json")
    size = len(to_json(body))
    if size > MAX_BODY:
        raise BadCommand(
            f"{where}: expected a command of at most {MAX_BODY} bytes as JSON, got {size}; "
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


def _step_shape(step: StepDefinition) -> JsonObject:
    shape: JsonObject = {"name": step.name, "kind": "command", "pivot": step.pivot}
    shape["forward"] = _asking_shape(step.forward)
    shape["compensation"] = None if step.compensation is None else _asking_shape(step.compensation)
    return shape


def _asking_shape(asking: Asking) -> JsonObject:
    retry = asking.retry
    return {
        "commands": [
            {"type": c.__name__, "subject": c.subject, "reply": c.reply_type().subject}
            for c in asking.commands
        ],
        "timeout": asking.timeout.total_seconds(),
        "retry": {
            "attempts": retry.attempts,
            "delay": retry.delay.total_seconds(),
            "factor": retry.factor,
            "cap": retry.cap.total_seconds(),
            "slow": retry.slow.total_seconds(),
        },
    }


NO_STEPS: Final = "expected at least one @step"


def check(definition: Definition) -> None:
    """Refuse what cannot be run. Raises `DefinitionError`, which tells the mend."""
    where = f"saga {definition.name!r}"
    if not definition.steps:
        raise DefinitionError(f"{where}: {NO_STEPS}, got none")
    pivots = [step.name for step in definition.steps if step.pivot]
    if len(pivots) > 1:
        raise DefinitionError(
            f"{where}: expected at most one pivot, got {', '.join(pivots)}; "
            "keep pivot=True on the step after which there is no way back"
        )
    for step in definition.steps[definition.pivot :]:
        if step.compensation is not None:
            raise DefinitionError(
                f"{where}: step {step.name!r} is the pivot or comes after it, so it is never compensated; "
                "take its compensation away, or move it before the pivot"
            )
    if not definition.key:
        raise DefinitionError(
            f"{where}: expected key to name at least one field of its start event, got none"
        )
    for name in definition.key:
        if name not in definition.start.model_fields:
            raise DefinitionError(
                f"{where}: expected key to name fields of {definition.start.__name__} "
                f"({', '.join(definition.start.model_fields)}), got {name!r}"
            )
