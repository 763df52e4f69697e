"""What each event of a history adds to the picture: one small function for each type that can be seen in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from amends.domain import events as e
from amends.domain.history import Recorded
from amends.domain.wire import Direction
from amends.projections.timeline.chart import Bar, Chart, Kind, Lane, Mark, Sign

_MAY_HAVE: Final = "; it may have happened"


def chart(history: Sequence[Recorded], now: datetime | None = None) -> Chart:
    """Read a history; it is not empty, and begins with the start. One that is not over is drawn until `now`."""
    first, last = history[0].event, history[-1].event
    assert isinstance(first, e.SagaStarted)
    title = f"{first.saga} {first.key} ({first.saga}@{first.definition})"
    made = Chart(title, first.at, last.at, "running", Lane("saga"))
    for recorded in history:
        draw = DRAW.get(type(recorded.event))
        if draw is not None:
            draw(made, recorded.event)
    if now is not None and not made.over:
        made.go_on(now)
    return made


def _started(made: Chart, event: e.SagaStarted) -> None:
    made.saga.marks.append(Mark(event.at, Sign.STARTED, f"started by {event.subject}"))


def _turned_back(made: Chart, event: Any) -> None:
    made.status = "compensating"
    made.saga.marks.append(Mark(event.at, Sign.TURNED_BACK, event.reason))
    reopened = isinstance(event, e.SagaReopened)
    made.saga.note(f"turned back{' after its end' if reopened else ''}: {event.reason}")


def _ended(status: str) -> Callable[[Chart, Any], None]:
    def draw(made: Chart, event: e.SagaEvent) -> None:
        made.status = status
        made.saga.marks.append(Mark(event.at, Sign.ENDED, status))
        for lane in made.all:
            lane.close(event.at)
        if isinstance(event, e.SagaFailed):
            _abandoned(made, event)

    return draw


def _abandoned(made: Chart, event: e.SagaFailed) -> None:
    made.saga.note(f"abandoned by {event.by}: {event.reason}")
    for step in event.effects:
        made.lane(step).note("not undone")
    for key in event.unresolved:
        made.lane(key.step, key.direction).note("nobody knows whether it happened")


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
    if event.held:
        lane.open(Bar(Kind.HELD, event.at))
    else:
        _sent(made, event)
    if event.direction is Direction.CLOSE:
        made.lane(event.step).note("nobody knew whether it happened, so its service was asked to close it")


def _sent(made: Chart, event: e.CommandRecorded | e.CommandReleased) -> None:
    lane = made.lane(event.step, event.direction)
    bar = Bar(Kind.ASKED, event.at, number=len(lane.attempts) + 1)
    lane.attempts[event.round, event.attempt] = bar
    lane.doubtful = True
    lane.open(bar)


def _withdrawn(made: Chart, event: e.CommandWithdrawn) -> None:
    lane = made.lane(event.step, event.direction)
    lane.close(event.at)
    lane.note("held by limits until nobody wanted it, and never sent")


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
        if sign in (Sign.SUCCEEDED, Sign.REJECTED):
            lane.doubtful = False
            if event.direction is Direction.CLOSE:
                made.lane(event.step).doubtful = False

    return draw


def _contradiction(made: Chart, event: e.ContradictionFound) -> None:
    lane = made.lane(event.step, event.direction)
    lane.marks.append(Mark(event.at, Sign.CONTRADICTION, f"{event.recorded}, then {event.came}"))
    lane.marks.append(Mark(event.at, Sign.PARKED))
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
    lane.note(f"given up{_MAY_HAVE if lane.doubtful else ''}")


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
    doubt = _MAY_HAVE if isinstance(event, e.StepSkippedByHand) and lane.doubtful else ""
    lane.note(f"{_DEEDS[type(event)]} by {event.by}: {event.reason}{doubt}")
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


def _timeout_requested(made: Chart, event: e.TimeoutRequested) -> None:
    made.lane(_timeout(event)).open(Bar(Kind.WAIT, event.at))


def _timeout_over(made: Chart, event: e.TimeoutFired | e.TimeoutCancelled) -> None:
    fired = isinstance(event, e.TimeoutFired)
    lane = made.lane(_timeout(event))
    lane.close(event.at, Sign.TIMED_OUT if fired else None)
    lane.note("it came" if fired else "taken back")


def _timeout(event: Any) -> str:
    return f"timeout {event.name}"


def _announced(made: Chart, event: e.StepAnnounced) -> None:
    made.lane(event.step).marks.append(Mark(event.at, Sign.SUCCEEDED))
    made.lane(event.step).note("its event was published")


def _once_more(made: Chart, event: e.CompensationReopened) -> None:
    made.lane(event.step, Direction.COMPENSATE).note(f"once more, because {event.reason}")


def _odd(made: Chart, event: e.StartRefused | e.KeyClashed) -> None:
    if isinstance(event, e.KeyClashed):
        sign, text = Sign.PARKED, f"another saga has {event.name} {event.value}; needs a person"
    else:
        sign, text = Sign.SKIPPED, "another start was refused"
    made.saga.marks.append(Mark(event.at, sign, text))
    made.saga.note(text)


_DEEDS: Final[dict[type[e.SagaEvent], str]] = {
    e.StepSkippedByHand: "skipped",
    e.StepSettledByHand: "settled",
    e.RetryRequested: "retried",
    e.TimerRescheduled: "timer moved",
    e.TimerCancelled: "timer cancelled",
}

DRAW: Final[dict[type[e.SagaEvent], Callable[[Chart, Any], None]]] = {
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
    e.CommandReleased: _sent,
    e.CommandWithdrawn: _withdrawn,
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
    e.TimeoutRequested: _timeout_requested,
    e.TimeoutFired: _timeout_over,
    e.TimeoutCancelled: _timeout_over,
    e.StepAnnounced: _announced,
    e.CompensationReopened: _once_more,
    e.StartRefused: _odd,
    e.KeyClashed: _odd,
}
"""What is not here cannot be seen in a picture."""
