"""A saga's state: immutable values, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import to_json

from amends.domain.events import JsonObject
from amends.domain.handlers.state import HandlerState
from amends.domain.messages import Event
from amends.domain.value import Value, value
from amends.domain.wire import Direction, Outcome

E = TypeVar("E", bound=Event)


class Status(StrEnum):
    """Where a saga is in its life."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Nothing more is planned."""
        return self is not Status.RUNNING and self is not Status.COMPENSATING


@value(frozen=True)
class Attempt(Value):
    """One sending of a command. `outcomes` are those that were recorded for it, in their order.

    One that is `limited` is first held; then it is released, or withdrawn without ever having left.
    """

    number: int
    command_id: UUID
    sent: datetime
    expires: datetime
    outcomes: tuple[Outcome, ...] = ()
    limited: bool = False
    held: bool = False
    withdrawn: bool = False

    @property
    def left(self) -> bool:
        """Its service may know of it."""
        return not (self.held or self.withdrawn)

    @property
    def answered(self) -> bool:
        """Its service has said something of it."""
        return any(outcome is not Outcome.TIMED_OUT for outcome in self.outcomes)


@value(frozen=True)
class Round(Value):
    """All attempts under one idempotency key. `answer` is the definite one."""

    number: int
    key: UUID
    forward_key: UUID | None
    opened: datetime
    subject: str
    reply_subject: str
    payload: JsonObject
    attempts: tuple[Attempt, ...]
    answer: Outcome | None = None

    @property
    def last(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]


@value(frozen=True)
class Line(Value):
    """All that was asked of a service for one step in one direction."""

    rounds: tuple[Round, ...] = ()
    retry: datetime | None = None
    parked: bool = False
    error: str = ""
    before: int = 0  # attempts that no longer count, because it is asked anew
    forgotten: bool = False  # the service no longer knows the key, so that trying soon cannot help
    rests: datetime | None = None  # until when the service asked to be left in peace
    moved: datetime | None = None  # when an operator wants its timer to fall due
    stopped: str = ""  # why an operator wants it never to

    @property
    def tries(self) -> int:
        """Attempts over all rounds, or since it is asked anew."""
        return self.sent - self.before

    @property
    def sent(self) -> int:
        """Attempts over all rounds."""
        return sum(len(round_.attempts) for round_ in self.rounds)

    @property
    def open(self) -> Round | None:
        """The round that has no definite answer yet."""
        return self.rounds[-1] if self.rounds and self.rounds[-1].answer is None else None

    @property
    def in_flight(self) -> Attempt | None:
        """The attempt whose answer is awaited."""
        round_ = self.open
        if round_ is None or self.retry is not None:
            return None
        last = round_.last
        return last if last.left and not last.outcomes else None

    @property
    def held(self) -> Attempt | None:
        """The attempt that waits for the limits of its service."""
        last = self.rounds[-1].last if self.rounds else None
        return last if last and last.held else None

    @property
    def unsent(self) -> bool:
        """Nothing of the latest round ever left."""
        return bool(self.rounds) and not any(attempt.left for attempt in self.rounds[-1].attempts)

    @property
    def undecided(self) -> Outcome | None:
        """The answer from which nothing has followed yet, because the saga is suspended: rejected or failed."""
        if not self.rounds or self.retry is not None:
            return None
        if self.rounds[-1].answer is Outcome.REJECTED:
            return Outcome.REJECTED
        return Outcome.FAILED if self.open and self.open.last.outcomes else None

    @property
    def succeeded(self) -> bool:
        """The service did what was asked."""
        return bool(self.rounds) and self.rounds[-1].answer is Outcome.SUCCEEDED

    @property
    def due(self) -> datetime | None:
        """When this line must be looked at again, whatever comes."""
        if self.stopped or self.moved:
            return None if self.stopped else self.moved
        attempt = self.in_flight
        return attempt.expires if attempt else self.retry


@value(frozen=True)
class Wait(Value):
    """A step that waits for one of these events; `due` is when it no longer does, None: never."""

    since: datetime
    subjects: tuple[str, ...]
    due: datetime | None
    parked: str = ""  # why a person should look
    again: bool = False  # it was waited for before, in vain


@value(frozen=True)
class Kept(Value):
    """An event that came, and that no step has consumed."""

    message_id: str
    subject: str
    event: JsonObject


@value(frozen=True)
class StepState(Value):
    """What is known of one step."""

    name: str
    forward: Line = Line()
    compensation: Line = Line()
    close: Line = Line()
    wait: Wait | None = None
    skipped: bool = False
    succeeded: bool = False
    given_up: str = ""  # why
    happened_late: bool = False  # a success came after the step was given up, or rejected
    passed_over: bool = False
    owed: bool = False  # it took effect after it was compensated, so it must be compensated again
    former: tuple[str, ...] = ()  # its names in older versions
    by_hand: bool = False  # an operator said that what it did is undone
    reply: JsonObject | None = None

    @property
    def done(self) -> bool:
        """The saga may go on behind it."""
        return self.succeeded or self.skipped

    @property
    def decided(self) -> bool:
        """No answer can change which way the saga goes from here."""
        return self.succeeded or self.skipped or bool(self.given_up)

    @property
    def begun(self) -> bool:
        """It was asked for, or waits."""
        return bool(self.forward.rounds) or self.wait is not None

    @property
    def waiting(self) -> bool:
        """It waits for an event."""
        return self.wait is not None and not self.decided

    @property
    def rejected(self) -> bool:
        """It is proven that the latest round did not happen."""
        return bool(self.forward.rounds) and self.forward.rounds[-1].answer is Outcome.REJECTED

    @property
    def may_have_happened(self) -> bool:
        """It took effect, or nobody can exclude that it did."""
        if not self.forward.rounds:
            return False
        ended = self.skipped or bool(self.given_up)
        happened = self.succeeded or self.happened_late
        return happened or (ended and not (self.rejected or self.forward.unsent))

    @property
    def settled(self) -> bool:
        """Nothing is left to compensate. A compensation that is out is waited for, whatever comes."""
        if self.owed:
            return False
        if self.passed_over or self.by_hand:
            return True
        return self.compensation.succeeded if self.compensation.rounds else not self.may_have_happened

    @property
    def lines(self) -> tuple[tuple[Direction, Line], ...]:
        """What was asked in each direction."""
        return (
            (Direction.FORWARD, self.forward),
            (Direction.COMPENSATE, self.compensation),
            (Direction.CLOSE, self.close),
        )

    def line(self, direction: Direction) -> Line:
        """What was asked in this direction."""
        if direction is Direction.FORWARD:
            return self.forward
        return self.compensation if direction is Direction.COMPENSATE else self.close


@lru_cache(maxsize=1024)
def _unknown(name: str) -> StepState:
    return StepState(name)


@value(frozen=True, slots=True)
class CommandRef:
    """Where in a state a command id was found."""

    step: StepState
    direction: Direction
    round: Round
    attempt: Attempt


@value(frozen=True)
class SagaState(Value):
    """A fold over a saga's events, and of nothing else: no definition is needed to make it."""

    id: UUID
    saga: str
    definition: int
    namespace: str
    key: str
    subject: str
    start: JsonObject
    started: datetime
    started_by: str
    trace: str
    at: datetime
    deadline: datetime | None
    status: Status = Status.RUNNING
    reason: str = ""  # why it is compensating
    deadline_passed: bool = False
    cancelled: str = ""  # why somebody wants it undone
    suspended: str = ""  # why nothing is to be sent
    actions: frozenset[str] = frozenset()  # the requests of operators that were applied
    steps: Mapping[str, StepState] = field(default_factory=dict[str, StepState])
    refused_starts: frozenset[str] = frozenset()
    contradictions: int = 0
    handlers: HandlerState = field(default_factory=HandlerState)
    kept: tuple[Kept, ...] = ()
    limited: bool = False  # a command of it was once held

    _id_text: str = field(init=False, default="", compare=False, repr=False)
    _start_read: tuple[Any, Any] = field(init=False, default=(None, None), compare=False, repr=False)

    @property
    def id_text(self) -> str:
        """The saga's id as it is written, once for all states of the saga."""
        if not self._id_text:
            object.__setattr__(self, "_id_text", str(self.id))
        return self._id_text

    def start_as(self, kind: type[E]) -> E:
        """The start event, which is read once for all states of the saga."""
        payload, read = self._start_read
        if payload is not self.start or type(read) is not kind:
            read = kind.model_validate_json(to_json(self.start))
            object.__setattr__(self, "_start_read", (self.start, read))
        return read

    def step(self, name: str) -> StepState:
        """What is known of the step, which may be nothing yet."""
        return self.steps.get(name) or _unknown(name)

    def with_step(self, step: StepState) -> SagaState:
        """The same state with this known of the step."""
        return self.but(steps={**self.steps, step.name: step})

    def find(self, command_id: UUID) -> CommandRef | None:
        """The attempt that has this command id, sought among the latest first."""
        for step in reversed(tuple(self.steps.values())):
            for direction, line in step.lines:
                for round_ in reversed(line.rounds):
                    for attempt in reversed(round_.attempts):
                        if attempt.command_id == command_id:
                            return CommandRef(step, direction, round_, attempt)
        return None

    def is_active(self, step: str, direction: Direction) -> bool:
        """Whether an answer or a timer is awaited on this line."""
        return any(each.name == step and d is direction for each, d, _ in self.active())

    def active(self) -> Iterator[tuple[StepState, Direction, Line]]:
        """The lines on which an answer or a timer is awaited."""
        if self.status is Status.RUNNING:
            for step in self.steps.values():
                if step.forward.rounds and not step.decided:
                    direction = Direction.CLOSE if step.close.rounds else Direction.FORWARD
                    yield step, direction, step.line(direction)
        elif self.status is Status.COMPENSATING:
            for step in self.steps.values():
                if step.compensation.rounds and not step.settled:
                    yield step, Direction.COMPENSATE, step.compensation

    @property
    def parked(self) -> bool:
        """A person should look."""
        return any(line.parked for _, _, line in self.active()) or any(w.parked for _, w in self.waits())

    @property
    def busy(self) -> bool:
        """It counts among the sagas of its type that run at once."""
        return not (self.status.final or self.suspended or self.parked)

    def waits(self) -> Iterator[tuple[StepState, Wait]]:
        """The steps that wait for an event."""
        for step in self.steps.values():
            if step.wait is not None and not (step.decided or self.status.final):
                yield step, step.wait

    def times_out(self, name: str) -> bool:
        """Whether a timeout of this name, and no step, is awaited by a handler."""
        return name in self.handlers.timeouts and name not in self.steps and self.status is Status.RUNNING

    @property
    def wake_up(self) -> datetime | None:
        """When the saga must be looked at again if nothing comes before; None: never."""
        if self.suspended:
            return None
        times: list[datetime | None] = [self.deadline_due]
        times += [line.due for _, _, line in self.active()]
        times += [wait.due for _, wait in self.waits()]
        if self.handlers.timeouts and self.status is Status.RUNNING and not self.handlers.completing:
            times += self.handlers.timeouts.values()
        return _earliest(times)

    @property
    def deadline_due(self) -> datetime | None:
        """The deadline, while it is still waited for."""
        return self.deadline if self.status is Status.RUNNING and not self.deadline_passed else None


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """`min`, in a quarter of its time for the two or three that there are."""
    earliest = None
    for moment in moments:
        if moment is not None and (earliest is None or moment < earliest):
            earliest = moment
    return earliest
