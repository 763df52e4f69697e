"""A process manager in the event-handler style as data: what it listens to, and what it may send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_json

from amends.domain.correlation import Correlation, NoKey, key_of
from amends.domain.definition import (
    AnyCommand,
    Asking,
    Definition,
    InvalidMessage,
    StepDefinition,
    command_shape,
    read,
)
from amends.domain.events import JsonObject, RetryPolicy, SendRequested
from amends.domain.handlers.actions import Action
from amends.domain.messages import Event
from amends.domain.policy import COMPENSATION_RETRY, DEFAULT_TIMEOUT, Retry
from amends.domain.state import SagaState
from amends.domain.wire import reply_subjects, succeeded_subject

Handle: TypeAlias = Callable[..., Iterable[Action] | None]
"""A handler, to be called with the view of its saga and, unless a timeout calls it, with what happened."""

STYLE: Final = "handlers"
"""What a shape says of its style; one that says nothing is of steps."""


@dataclass(frozen=True, slots=True)
class ManagerDefinition:
    """One version of a process manager.

    `starts` are the correlations of the events that start it, `listens` of the others; `on_start` and `on_event`
    are handlers by the event's subject, `on_rejected` by the command's, `on_timeout` by the timeout's name. `sends`
    and `publishes` are what handlers may send and publish, by subject. `view` makes the object that handlers see as
    `self`.
    """

    name: str
    version: int
    deadline: timedelta | None
    state: type[BaseModel]
    starts: tuple[Correlation, ...]
    listens: tuple[Correlation, ...]
    sends: Mapping[str, type[AnyCommand]]
    publishes: Mapping[str, type[Event]]
    on_start: Mapping[str, Handle]
    on_event: Mapping[str, Handle]
    on_rejected: Mapping[str, Handle]
    on_timeout: Mapping[str, Handle]
    view: Callable[[SagaState], Any]
    limit: int | None = None

    events: Mapping[str, type[Event]] = field(init=False)
    """What it hears of, by subject; an answer that names no event comes on `<service>.<action>.done`."""

    def __post_init__(self) -> None:
        heard = {each.event.subject: each.event for each in (*self.starts, *self.listens)}
        answers = {subject_of_success(command): command.reply_type() for command in self.sends.values()}
        object.__setattr__(self, "events", {**answers, **heard})

    @property
    def start_subjects(self) -> tuple[str, ...]:
        """The subjects, without namespace, of what starts it."""
        return tuple(each.event.subject for each in self.starts)

    def key_of(self, start: Event) -> str:
        """The business key in a start event. Raises `InvalidMessage` where it is empty."""
        for each in self.starts:
            if isinstance(start, each.event):
                try:
                    return key_of(start, each.key)
                except NoKey as error:
                    raise InvalidMessage(str(error)) from None
        raise InvalidMessage(
            f"expected an event that starts {self.name} ({', '.join(self.start_subjects)}), "
            f"got a {type(start).__name__}"
        )

    def read_start(self, subject: str, body: bytes) -> Event:
        """The start event in this body. Raises `InvalidMessage`."""
        for each in self.starts:
            if each.event.subject == subject:
                return read(each.event, body)
        raise InvalidMessage(
            f"expected one of the events that start {self.name}@{self.version} "
            f"({', '.join(self.start_subjects)}), got {subject}"
        )

    def hears_of(self, commands: Iterable[type[AnyCommand]]) -> bool:
        """Whether a handler is told where one of these succeeds."""
        return any(subject_of_success(command) in self.on_event for command in commands)

    def reply_subjects(self) -> frozenset[str]:
        """Every subject, without namespace, on which an answer to what it sends can come."""
        return frozenset(
            subject
            for command in self.sends.values()
            for subject in reply_subjects(command.subject, command.reply_type().subject)
        )

    def shape(self) -> JsonObject:
        """This definition as JSON: enough to route messages, and to draw it, without the code."""
        first = self.starts[0]
        return {
            "saga": self.name,
            "version": self.version,
            "style": STYLE,
            "key": list(first.key),
            "start": first.event.subject,
            "starts": [
                {"event": each.event.__name__, "subject": each.event.subject, "key": list(each.key)}
                for each in self.starts
            ],
            "listens": [each.shape() for each in self.listens],
            "sends": [command_shape(command) for command in self.sends.values()],
            "publishes": [{"event": e.__name__, "subject": e.subject} for e in self.publishes.values()],
            "handlers": list(self._handler_shapes()),
            "state": list(self.state.model_fields),
            "deadline": None if self.deadline is None else self.deadline.total_seconds(),
            "steps": [],
        }

    def _handler_shapes(self) -> Iterator[JsonObject]:
        by_subject = {"start": self.on_start, "event": self.on_event, "rejected": self.on_rejected}
        for kind, handles in by_subject.items():
            for subject, handle in handles.items():
                yield {"name": handle.__name__, "kind": kind, "subject": subject}
        for name, handle in self.on_timeout.items():
            yield {"name": handle.__name__, "kind": "timeout", "timeout": name}

    def plan(self, state: SagaState | None) -> Definition:
        """What one saga has sent so far, as steps: side by side forwards, and undone in reverse order."""
        sends = state.handlers.sends if state else ()
        return Definition(
            name=self.name,
            version=self.version,
            key=self.starts[0].key,
            start=self.starts[0].event,
            deadline=self.deadline,
            steps=tuple(self._steps(sends)),
            view=self.view,
            listens=self.listens,
            order={
                send.step: [before.step for before in sends[max(0, at - 1) : at]]
                for at, send in enumerate(sends)
            },
            goes_on=state is None or not state.handlers.completing,
        )

    def _steps(self, sends: Iterable[SendRequested]) -> Iterator[StepDefinition]:
        earlier: list[str] = []
        pivot: str | None = None
        for send in sends:
            after = tuple(earlier) if send.pivot else (pivot,) if pivot else ()
            yield StepDefinition(
                name=send.step,
                forward=self._asking(send.subject, send.payload, send.timeout, retry_of(send.retry)),
                compensation=self._undoing(send),
                pivot=send.pivot,
                after=after,
                tolerated=send.subject in self.on_rejected,
            )
            earlier.append(send.step)
            pivot = send.step if send.pivot else pivot

    def _undoing(self, send: SendRequested) -> Asking | None:
        if not send.undo_subject:
            return None
        return self._asking(send.undo_subject, send.undo_payload, DEFAULT_TIMEOUT, COMPENSATION_RETRY)

    def _asking(self, subject: str, body: JsonObject, timeout: timedelta, retry: Retry) -> Asking:
        kind = self.sends[subject]
        return Asking(lambda _: kind.model_validate_json(to_json(body)), (kind,), timeout, retry)


AnyDefinition: TypeAlias = Definition | ManagerDefinition


def subject_of_success(command: type[AnyCommand]) -> str:
    """The subject, without namespace, on which the command's success is told."""
    return succeeded_subject(command.subject, command.reply_type().subject)


def recorded_retry(retry: Retry) -> RetryPolicy:
    """The policy as it is recorded."""
    return RetryPolicy(
        attempts=retry.attempts, delay=retry.delay, factor=retry.factor, cap=retry.cap, slow=retry.slow
    )


def retry_of(policy: RetryPolicy) -> Retry:
    """The policy that was recorded."""
    return Retry(policy.attempts, policy.delay, policy.factor, policy.cap, policy.slow)
