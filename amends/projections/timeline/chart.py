"""What there is to draw of a history: a lane for the saga, and one for each thing that it asked for or waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from amends.domain import events as e
from amends.domain.events import JsonObject
from amends.domain.history import Recorded
from amends.domain.wire import Direction

_LANE: Final = {Direction.FORWARD: "", Direction.COMPENSATE: "undo ", Direction.CLOSE: "close "}


class Kind(StrEnum):
    """What a bar stands for."""

    ASKED = "asked"
    DELAY = "delay"
    WAIT = "wait"
    SUSPENDED = "suspended"


class Sign(StrEnum):
    """How a bar ended, or what a mark stands for."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    STARTED = "started"
    TURNED_BACK = "turned back"
    ENDED = "ended"
    PARKED = "needs a person"
    OPERATOR = "an operator acted"
    SKIPPED = "skipped"
    GIVEN_UP = "given up"
    DEADLINE = "deadline passed"
    CONTRADICTION = "contradiction"


@dataclass
class Bar:
    """A stretch of time. Without `end` it goes on; without `sign` it just stopped."""

    kind: Kind
    begin: datetime
    end: datetime | None = None
    sign: Sign | None = None
    number: int = 0  # of the attempt, over all rounds

    def as_json(self) -> JsonObject:
        return {
            "kind": self.kind,
            "attempt": self.number or None,
            "begin": self.begin.isoformat(),
            "end": self.end and self.end.isoformat(),
            "outcome": self.sign,
        }

    def close(self, at: datetime, sign: Sign | None = None) -> None:
        """It ends now, unless it has."""
        if self.end is None:
            self.end, self.sign = at, sign


@dataclass(frozen=True)
class Mark:
    """Something that happened at one time."""

    at: datetime
    sign: Sign
    text: str = ""


@dataclass
class Lane:
    """A line of the picture; `notes` say in words what it shows."""

    name: str
    bars: list[Bar] = field(default_factory=list[Bar])
    marks: list[Mark] = field(default_factory=list[Mark])
    notes: list[str] = field(default_factory=list[str])
    attempts: dict[tuple[int, int], Bar] = field(default_factory=dict[tuple[int, int], Bar])

    def open(self, bar: Bar) -> None:
        """Begin a bar; those that only bridge the time until then end."""
        for other in self.bars:
            if other.kind is not Kind.ASKED:
                other.close(bar.begin)
        self.bars.append(bar)

    def close(self, at: datetime, sign: Sign | None = None) -> None:
        """End what is open."""
        for bar in self.bars:
            bar.close(at, sign)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def words(self) -> str:
        """All notes, with the number of attempts where there were several."""
        count = [f"{len(self.attempts)} attempts"] if len(self.attempts) > 1 else []
        return "; ".join([*count, *self.notes])


@dataclass
class Chart:
    """A saga's life. `end` is the last event's time, `over` whether nothing more is planned."""

    title: str
    begin: datetime
    end: datetime
    status: str
    saga: Lane
    lanes: dict[tuple[str, Direction], Lane] = field(default_factory=dict[tuple[str, Direction], Lane])

    @property
    def over(self) -> bool:
        """Nothing more is planned."""
        return self.status in ("completed", "compensated", "failed")

    @property
    def all(self) -> list[Lane]:
        """Every lane from top to bottom, in the order in which they began."""
        return [self.saga, *self.lanes.values()]

    @property
    def instants(self) -> list[datetime]:
        """Every time at which something begins, ends or happens."""
        found = {self.begin, self.end}
        for lane in self.all:
            found |= {bar.begin for bar in lane.bars} | {bar.end for bar in lane.bars if bar.end}
            found |= {mark.at for mark in lane.marks}
        return sorted(found)

    def as_json(self) -> JsonObject:
        """All of it as JSON."""
        return {
            "title": self.title,
            "status": self.status,
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "lanes": [
                {
                    "name": lane.name,
                    "notes": lane.notes,
                    "bars": [bar.as_json() for bar in lane.bars],
                    "marks": [{"at": m.at.isoformat(), "sign": m.sign, "text": m.text} for m in lane.marks],
                }
                for lane in self.all
            ],
        }

    def lane(self, step: str, direction: Direction = Direction.FORWARD) -> Lane:
        """The lane of a step in one direction."""
        return self.lanes.setdefault((step, direction), Lane(f"{_LANE[direction]}{step}"))


def chart(history: Sequence[Recorded]) -> Chart:
    """Read a history; it is not empty, and begins with the start."""
    first, last = history[0].event, history[-1].event
    assert isinstance(first, e.SagaStarted)
    title = f"{first.saga} {first.key} ({first.saga}@{first.definition})"
    made = Chart(title, first.at, last.at, "running", Lane("saga"))
    for recorded in history:
        draw = _DRAW.get(type(recorded.event))
        if draw is not None:
            draw(made, recorded.event)
    return made


def _started(made: Chart, event: e.SagaStarted) -> None:
    made.saga.marks.append(Mark(event.at, Sign.STARTED, f"started by {event.subject}"))


def _turned_back(made: Chart, event: Any) -> None:
    made.status = "compensating"
    made.saga.marks.append(Mark(event.at, Sign.TURNED_BACK, event.reason))
    reopened = isinstance(event, e.SagaReopened)
    made.saga.note(f"{'reopened' if reopened else 'turned back'}: {event.reason}")


def _ended(status: str) -> Callable[[Chart, Any], None]:
    def draw(made: Chart, event: e.SagaEvent) -> None:
        made.status = status
        made.saga.marks.append(Mark(event.at, Sign.ENDED, status))
        for lane in made.all:
            lane.close(event.at)
        if isinstance(event, e.SagaFailed):
            made.saga.note(f"abandoned by {event.by}: {event.reason}")

    return draw


def _deadline(made: Chart, event: e.SagaEvent) -> None:
    made.saga.marks.append(Mark(event.at, Sign.DEADLINE))
    made.saga.note("the deadline passed")


def _cancelled(made: Chart, event: e.CancelRequested) -> None:
    made.saga.marks.append(Mark(event.at, Sign.OPERATOR, event.reason))
    made.saga.note(f"{event.by} asked to cancel: {event.reason}")


def _suspended(made: Chart, event: e.SagaSuspended) -> None:
    made.saga.open(Bar(Kind.SUSPENDED, event.at))
    made.saga.note(f"suspended by {event.by}: {event.reason}")


def _resumed(made: Chart, event: e.SagaResumed) -> None:
    made.saga.close(event.at)
    made.saga.note(f"resumed by {event.by}: {event.reason}")


def _asked(made: Chart, event: e.CommandRecorded) -> None:
    lane = made.lane(event.step, event.direction)
    bar = Bar(Kind.ASKED, event.at, number=len(lane.attempts) + 1)
    lane.attempts[event.round, event.attempt] = bar
    lane.open(bar)
    if event.direction is Direction.CLOSE:
        made.lane(event.step).note("nobody knew whether it happened, so its service was asked to close it")


def _answered(sign: Sign) -> Callable[[Chart, Any], None]:
    def draw(made: Chart, event: Any) -> None:
        lane = made.lane(event.step, event.direction)
        bar = lane.attempts[event.round, event.attempt]
        late = bar.end is not None
        if late:
            lane.marks.append(Mark(event.at, sign, "late"))
        bar.close(event.at, sign)
        reason = getattr(event, "reason", "") or getattr(event, "code", "")
        words = "no answer" if sign is Sign.TIMED_OUT else f"{sign}: {reason}" if reason else str(sign)
        lane.note(f"{words}, late" if late else words)

    return draw


def _contradiction(made: Chart, event: e.ContradictionFound) -> None:
    lane = made.lane(event.step, event.direction)
    lane.marks.append(Mark(event.at, Sign.CONTRADICTION, f"{event.recorded}, then {event.came}"))
    lane.note(f"contradiction: the service said {event.recorded}, and later {event.came}; needs a person")


def _delayed(made: Chart, event: e.RetryScheduled) -> None:
    made.lane(event.step, event.direction).open(Bar(Kind.DELAY, event.at))


def _parked(made: Chart, event: Any) -> None:
    lane = made.lane(event.step, getattr(event, "direction", Direction.FORWARD))
    lane.marks.append(Mark(event.at, Sign.PARKED, event.reason))
    lane.note("needs a person")


def _given_up(made: Chart, event: e.StepGivenUp) -> None:
    lane = made.lane(event.step)
    for bar in lane.bars:
        if bar.kind is not Kind.ASKED:
            bar.close(event.at)
    lane.marks.append(Mark(event.at, Sign.GIVEN_UP, event.reason))
    lane.note("given up")


def _skipped(made: Chart, event: e.StepSkipped) -> None:
    made.lane(event.step).marks.append(Mark(event.at, Sign.SKIPPED))
    made.lane(event.step).note("skipped")


def _passed_over(made: Chart, event: e.CompensationPassedOver) -> None:
    lane = made.lane(event.step, Direction.COMPENSATE)
    lane.close(event.at)
    lane.marks.append(Mark(event.at, Sign.SKIPPED, event.reason))
    lane.note(event.reason)


def _by_hand(made: Chart, event: Any) -> None:
    """An operator did something to a step, or to the deadline."""
    step: str = event.step
    lane = made.lane(step, getattr(event, "direction", Direction.FORWARD)) if step else made.saga
    lane.marks.append(Mark(event.at, Sign.OPERATOR, event.reason))
    lane.note(f"{_DEEDS[type(event)]} by {event.by}: {event.reason}")
    if isinstance(event, e.StepSettledByHand | e.StepSkippedByHand):
        lane.close(event.at)


def _of_saga_by_hand(made: Chart, event: e.OperatorAction) -> None:
    made.saga.marks.append(Mark(event.at, Sign.OPERATOR, event.reason))
    made.saga.note(f"{event.type.partition('.')[2]} by {event.by}: {event.reason}")


def _waits(made: Chart, event: e.WaitStarted) -> None:
    lane = made.lane(event.step)
    lane.open(Bar(Kind.WAIT, event.at))
    lane.note(f"waited for {' or '.join(event.subjects)}")


def _wait_ended(sign: Sign, words: str) -> Callable[[Chart, Any], None]:
    def draw(made: Chart, event: e.OfStep) -> None:
        made.lane(event.step).close(event.at, sign)
        made.lane(event.step).note(words)

    return draw


_DEEDS: Final[dict[type[e.SagaEvent], str]] = {
    e.StepSkippedByHand: "skipped",
    e.StepSettledByHand: "settled",
    e.RetryRequested: "retried",
    e.TimerRescheduled: "timer moved",
    e.TimerCancelled: "timer cancelled",
}

_DRAW: Final[dict[type[e.SagaEvent], Callable[[Chart, Any], None]]] = {
    e.SagaStarted: _started,
    e.CompensationStarted: _turned_back,
    e.SagaReopened: _turned_back,
    e.SagaCompleted: _ended("completed"),
    e.SagaCompensated: _ended("compensated"),
    e.SagaFailed: _ended("failed"),
    e.DeadlinePassed: _deadline,
    e.CancelRequested: _cancelled,
    e.SagaSuspended: _suspended,
    e.SagaResumed: _resumed,
    e.SagaReleased: _of_saga_by_hand,
    e.SagaMigrated: _of_saga_by_hand,
    e.TimerRescheduled: _by_hand,
    e.TimerCancelled: _by_hand,
    e.RetryRequested: _by_hand,
    e.StepSkippedByHand: _by_hand,
    e.StepSettledByHand: _by_hand,
    e.StepSkipped: _skipped,
    e.StepGivenUp: _given_up,
    e.CompensationPassedOver: _passed_over,
    e.CommandRecorded: _asked,
    e.CommandSucceeded: _answered(Sign.SUCCEEDED),
    e.CommandRejected: _answered(Sign.REJECTED),
    e.CommandFailed: _answered(Sign.FAILED),
    e.CommandTimedOut: _answered(Sign.TIMED_OUT),
    e.RetryScheduled: _delayed,
    e.CommandParked: _parked,
    e.ContradictionFound: _contradiction,
    e.WaitStarted: _waits,
    e.WaitSucceeded: _wait_ended(Sign.SUCCEEDED, "it came"),
    e.WaitRejected: _wait_ended(Sign.REJECTED, "it says no"),
    e.WaitTimedOut: _wait_ended(Sign.TIMED_OUT, "nothing came in time"),
    e.WaitParked: _parked,
}
