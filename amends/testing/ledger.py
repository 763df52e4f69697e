"""What a history says of each step, told from the events alone and not with the core's own eyes.

The core folds events into a state and asks that state. A checker that asked it too would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from amends.domain import events as e
from amends.domain.wire import Direction

T = TypeVar("T")


def _like(value: T, **changes: Any) -> T:
    """The same with other fields: what an exploration does most, and `dataclasses.replace` visits every field."""
    made = object.__new__(type(value))
    made.__dict__.update(value.__dict__, **changes)
    return made


@dataclass
class Round:
    """The attempts under one key, and what was answered."""

    key: UUID
    payload: e.JsonObject | None
    subject: str
    attempts: dict[int, datetime]  # when each expires
    succeeded: bool = False
    rejected: bool = False
    left: bool = False  # an attempt of it was sent


@dataclass
class Line:
    """One step in one direction; `due` is when its timer falls due, None where it has none."""

    rounds: list[Round] = field(default_factory=list)
    due: datetime | None = None
    awaiting: tuple[int, int] | None = None  # round and attempt
    stopped: bool = False  # its timer was cancelled: a person must come
    anew: bool = False  # it waits for a declared delay to be asked in a new round
    held: bool = False  # its latest attempt waits for the limits of its service

    def fork(self) -> Line:
        """The same, in objects of its own."""
        rounds = [_like(round_, attempts=dict(round_.attempts)) for round_ in self.rounds]
        return _like(self, rounds=rounds)

    @property
    def succeeded(self) -> bool:
        """Its latest round was answered so."""
        return bool(self.rounds) and self.rounds[-1].succeeded

    @property
    def unsent(self) -> bool:
        """Nothing of its latest round ever left."""
        return bool(self.rounds) and not self.rounds[-1].left


@dataclass
class Step:
    """What the events say of one step."""

    lines: dict[Direction, Line] = field(default_factory=lambda: {d: Line() for d in Direction})
    skipped: bool = False
    given_up: bool = False
    passed_over: bool = False
    late: bool = False
    by_hand: bool = False  # an operator said that it is undone
    reopened: bool = False  # it is to be compensated once more
    closed: bool = False  # the close was answered `rejected`
    waits: bool = False
    wait_due: datetime | None = None
    met: bool = False  # the event that it waited for came, or the one that it tells was published

    def fork(self) -> Step:
        """The same, in objects of its own."""
        return _like(self, lines={direction: line.fork() for direction, line in self.lines.items()})

    @property
    def forward(self) -> Line:
        """The forward line."""
        return self.lines[Direction.FORWARD]

    @property
    def rejected(self) -> bool:
        """It is proven that it did not happen."""
        return not self.late and (self.closed or any(r.rejected for r in self.forward.rounds[-1:]))

    @property
    def done(self) -> bool:
        """The saga may go on behind it."""
        answered = self.forward.succeeded or self.closed_as_done or self.met
        return self.skipped or (answered and not self.given_up)

    @property
    def closed_as_done(self) -> bool:
        """The close was answered `succeeded`."""
        return any(r.succeeded for r in self.lines[Direction.CLOSE].rounds)

    @property
    def owes(self) -> bool:
        """It took effect, or may have: something that has a compensation must be compensated."""
        if not self.forward.rounds or self.rejected:
            return False
        ended = self.skipped or self.given_up
        return (ended and not self.forward.unsent) or (self.done and not self.skipped)

    @property
    def settled(self) -> bool:
        """Nothing of it is left to compensate."""
        compensation = self.lines[Direction.COMPENSATE]
        if self.reopened:
            return False
        if self.passed_over or self.by_hand or compensation.succeeded:
            return True
        return not compensation.rounds and not self.owes


_STATUSES: dict[type[e.SagaEvent], str] = {
    e.SagaStarted: "running",
    e.CompensationStarted: "compensating",
    e.SagaReopened: "compensating",
    e.SagaCompleted: "completed",
    e.SagaCompensated: "compensated",
}
_END_OF_DEADLINE = (e.DeadlinePassed, e.CompensationStarted, e.SagaCompleted)


class Ledger:
    """A second fold of a history, for checking the first."""

    def __init__(self) -> None:
        self.status = ""
        self.definition = 0
        self.suspended = False
        self.deadline: datetime | None = None
        self.contradictions = 0
        self.steps: dict[str, Step] = {}
        self.kept: dict[str, str] = {}  # subjects of the events that no step has consumed, by their ids
        self.came: frozenset[str] = frozenset()
        self.parked = False
        self.sends: tuple[str, ...] = ()  # what handlers sent, in its order
        self.handles = False  # it listens to events for as long as it runs
        self.timeouts: dict[str, datetime] = {}

    def step(self, name: str) -> Step:
        """What is known of the step."""
        known = self.steps.get(name)
        if known is None:
            known = self.steps[name] = Step()
        return known

    def fork(self, changing: Iterable[str]) -> Ledger:
        """A ledger that goes on from here without changing this one; only these steps may be added to."""
        forked = copy(self)
        changed = {name: self.steps[name].fork() for name in changing if name in self.steps}
        forked.steps = {**self.steps, **changed}
        return forked

    @property
    def wake_up(self) -> datetime | None:
        """The earliest of the timers that the events have left running; none is applied in a suspended saga."""
        if self.suspended or self.status == "failed":
            return None
        due = [line.due for step in self.steps.values() for line in step.lines.values() if line.due]
        due += [step.wait_due for step in self.steps.values() if step.wait_due]
        due += self.timeouts.values() if self.status == "running" else ()
        return min([*due, *([self.deadline] if self.deadline else [])], default=None)

    @property
    def rests(self) -> bool:
        """It only waits, perhaps for days, to ask again what was rejected."""
        due = [line for step in self.steps.values() for line in step.lines.values() if line.due]
        waits = any(step.waits for step in self.steps.values())
        return self.status == "running" and bool(due) and all(line.anew for line in due) and not waits

    @property
    def stopped(self) -> bool:
        """An operator cancelled a timer that nothing has replaced."""
        return any(line.stopped for step in self.steps.values() for line in step.lines.values())

    @property
    def held(self) -> bool:
        """A command waits for the limits of its service."""
        return any(line.held for step in self.steps.values() for line in step.lines.values())

    def add(self, event: e.SagaEvent) -> None:
        """Take one more event into account."""
        self.status = _STATUSES.get(type(event), self.status)
        if isinstance(event, _END_OF_DEADLINE):
            self.deadline = None
        match event:
            case e.SagaStarted():
                self.deadline, self.definition = event.deadline, event.definition
            case e.SagaReopened():
                self.step(event.step).passed_over = False
            case e.EventHandled() | e.TimeoutRequested() | e.TimeoutCancelled() | e.TimeoutFired():
                self._handler(event)
            case e.CompletionRequested():
                self.timeouts.clear()
            case e.OperatorAction():
                self._action(event)
            case e.EventReceived() | e.EventPassedOver():
                self._came(event)
            case e.OfCommand():
                self._command(event, self.step(event.step))
            case e.OfStep():
                self._step(event, self.step(event.step))
            case _:
                pass

    def _handler(
        self, event: e.EventHandled | e.TimeoutRequested | e.TimeoutCancelled | e.TimeoutFired
    ) -> None:
        self.handles = True
        if isinstance(event, e.TimeoutRequested):
            self.timeouts[event.name] = event.due
        elif not isinstance(event, e.EventHandled):
            self.timeouts.pop(event.name, None)

    def _action(self, event: e.OperatorAction) -> None:
        match event:
            case e.SagaSuspended() | e.SagaResumed():
                self.suspended = isinstance(event, e.SagaSuspended)
            case e.SagaFailed():
                self.status = "failed"
            case e.SagaMigrated():
                self.definition = event.definition
                self.steps = {event.steps.get(name, name): step for name, step in self.steps.items()}
            case e.TimerRescheduled() | e.TimerCancelled():
                self._timer(event, event.due if isinstance(event, e.TimerRescheduled) else None)
            case e.RetryRequested():
                line = self.step(event.step).lines[event.direction]
                line.due, line.stopped = event.at, False
            case e.StepSkippedByHand():
                step = self.step(event.step)
                step.skipped, step.forward.due = True, None
                self._end_wait(step)
            case e.StepSettledByHand():
                self._settled_by_hand(event, self.step(event.step))
            case _:
                pass

    def _timer(self, event: e.TimerRescheduled | e.TimerCancelled, due: datetime | None) -> None:
        if not event.step:
            self.deadline = due
            return
        if event.step in self.timeouts:
            self.timeouts.pop(event.step)
            self.timeouts |= {event.step: due} if due else {}
            return
        if self.step(event.step).waits:
            self.step(event.step).wait_due, self.parked = due, due is None
            return
        line = self.step(event.step).lines[event.direction]
        line.due, line.stopped = due, due is None
        if line.awaiting and due:
            line.rounds[-1].attempts[line.awaiting[1]] = due

    def _settled_by_hand(self, event: e.StepSettledByHand, step: Step) -> None:
        for line in (step.lines[event.direction], step.lines[Direction.CLOSE]):
            line.due = line.awaiting = None
        if event.direction is Direction.COMPENSATE:
            step.by_hand, step.reopened = True, False
            return
        round_ = step.forward.rounds[-1]
        round_.succeeded = event.outcome == "succeeded"
        round_.rejected = not round_.succeeded

    def _came(self, event: e.EventReceived | e.EventPassedOver) -> None:
        # Made anew: a fork shares what it has not changed.
        self.came = self.came | {event.cause}
        if isinstance(event, e.EventReceived):
            self.kept = {**self.kept, event.cause: event.subject}

    def _step(self, event: e.OfStep, step: Step) -> None:
        if isinstance(event, e.StepSkipped):
            step.skipped = True
            step.forward.due = None
            self._end_wait(step)
        elif isinstance(event, e.StepGivenUp):
            step.given_up = True
            step.forward.due = step.lines[Direction.CLOSE].due = None
            self._end_wait(step)
        elif isinstance(event, e.CompensationPassedOver):
            step.passed_over = True
            step.lines[Direction.COMPENSATE].due = None
        else:
            self._wait(event, step)

    def _wait(self, event: e.OfStep, step: Step) -> None:
        match event:
            case e.WaitStarted():
                step.waits, step.wait_due = True, event.due
            case e.WaitSucceeded() | e.WaitRejected():
                self.kept = {id_: kept for id_, kept in self.kept.items() if id_ != event.message_id}
                step.met = isinstance(event, e.WaitSucceeded)
                self._end_wait(step)
            case e.SendRequested():
                self.sends = (*self.sends, event.step)
            case e.StepAnnounced():
                step.met = True
            case e.EventTakenForAnswer():
                self.came = self.came | {event.cause}
            case e.CompensationReopened():
                step.reopened, step.passed_over, step.by_hand = True, False, False
            case e.WaitTimedOut():
                step.wait_due = None
            case e.WaitParked():
                self.parked = True
            case _:
                pass

    def _end_wait(self, step: Step) -> None:
        step.waits, step.wait_due = False, None

    def _command(self, event: e.OfCommand, step: Step) -> None:
        line = step.lines[event.direction]
        match event:
            case e.CommandRecorded():
                self._recorded(event, step, line)
            case e.CommandReleased():
                self._sent(event, line)
            case e.CommandWithdrawn():
                line.held = False
            case e.CommandSucceeded() | e.CommandRejected():
                self._definite(event, step, line)
            case e.CommandFailed() | e.CommandTimedOut():
                if line.awaiting == (event.round, event.attempt):
                    line.due = line.awaiting = None
            case e.RetryScheduled():
                line.due, line.awaiting, line.stopped, line.anew = event.due, None, False, event.anew
            case e.CommandParked() if event.stops:
                line.due, line.stopped = None, True
            case e.ContradictionFound():
                self._contradiction(event, step)
            case _:
                pass

    def _recorded(self, event: e.CommandRecorded, step: Step, line: Line) -> None:
        if event.attempt == 1:
            line.rounds.append(Round(event.key, event.payload, event.subject, {}))
            step.reopened = step.reopened and event.direction is not Direction.COMPENSATE
        line.due, line.awaiting, line.stopped, line.anew = None, None, False, False
        line.held = event.held
        if event.held:
            line.rounds[-1].attempts[event.attempt] = event.expires
        else:
            self._sent(event, line)
        if event.direction is Direction.CLOSE:
            step.forward.due = None

    def _sent(self, event: e.CommandRecorded | e.CommandReleased, line: Line) -> None:
        round_ = line.rounds[-1]
        round_.attempts[event.attempt] = event.expires
        round_.left, line.held = True, False
        line.due, line.awaiting = event.expires, (event.round, event.attempt)

    def _definite(self, event: e.CommandSucceeded | e.CommandRejected, step: Step, line: Line) -> None:
        succeeded = isinstance(event, e.CommandSucceeded)
        round_ = line.rounds[event.round - 1]
        round_.succeeded, round_.rejected = succeeded, not succeeded
        if event.round == len(line.rounds):
            line.due = line.awaiting = None
        if event.direction is Direction.CLOSE:
            step.closed = not succeeded
        elif event.direction is Direction.FORWARD:
            step.lines[Direction.CLOSE].due = None
            if succeeded and step.given_up:
                self._happened(step)

    def _contradiction(self, event: e.ContradictionFound, step: Step) -> None:
        self.contradictions += 1
        if event.direction is Direction.FORWARD and event.came == "succeeded":
            self._happened(step)

    def _happened(self, step: Step) -> None:
        """A success came of a step that was given up, or had been rejected."""
        step.late = True
        step.passed_over = step.passed_over and self.status != "compensating"
