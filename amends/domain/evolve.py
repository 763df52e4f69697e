"""State as a fold over events: `evolve(state, event) -> state`, one small function per event type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from amends.domain import events as e
from amends.domain.errors import BrokenHistory
from amends.domain.evolve_waits import EVOLVE_WAITS
from amends.domain.handlers.evolve import EVOLVE_HANDLERS, with_timeout
from amends.domain.state import Attempt, Line, Round, SagaState, Status, StepState
from amends.domain.wire import FORGOTTEN, Direction, Outcome

T = TypeVar("T")


def evolve(state: SagaState | None, event: e.SagaEvent, saga_id: UUID) -> SagaState:
    """The state after the event. Raises `BrokenHistory` where the event cannot follow the state."""
    kind = type(event)
    if kind is e.SagaStarted:
        if state is not None:
            raise BrokenHistory(f"saga {saga_id}: a second start in its history, at {event.at}")
        return _started(cast("e.SagaStarted", event), saga_id)
    if state is None:
        raise BrokenHistory(f"saga {saga_id}: expected its history to begin with a start, got {event.type}")
    state = _EVOLVE[kind](state, event)
    if kind in _ACTIONS:
        state = state.but(actions=state.actions | {event.cause})
    # What is decided together happens at the same time.
    return state if state.at == event.at else state.but(at=event.at)


def fold(events: Iterable[e.SagaEvent], saga_id: UUID) -> SagaState | None:
    """The state after all these events."""
    state: SagaState | None = None
    for event in events:
        state = evolve(state, event, saga_id)
    return state


def _started(event: e.SagaStarted, saga_id: UUID) -> SagaState:
    return SagaState(
        id=saga_id,
        saga=event.saga,
        definition=event.definition,
        namespace=event.namespace,
        key=event.key,
        subject=event.subject,
        start=event.start,
        started=event.at,
        started_by=event.cause,
        trace=event.trace,
        at=event.at,
        deadline=event.deadline,
    )


def _start_refused(state: SagaState, event: e.StartRefused) -> SagaState:
    return state.but(refused_starts=state.refused_starts | {event.cause})


def _status(status: Status) -> Callable[[SagaState, e.SagaEvent], SagaState]:
    return lambda state, _: state.but(status=status)


def _compensating(state: SagaState, event: e.CompensationStarted) -> SagaState:
    return state.but(status=Status.COMPENSATING, reason=event.reason)


def _reopened(state: SagaState, event: e.SagaReopened) -> SagaState:
    if event.step:
        state = state.with_step(state.step(event.step).but(passed_over=False))
    return state.but(status=Status.COMPENSATING, reason=event.reason)


def _deadline_passed(state: SagaState, _: e.DeadlinePassed) -> SagaState:
    return state.but(deadline_passed=True)


def _cancel_requested(state: SagaState, event: e.CancelRequested) -> SagaState:
    return state.but(cancelled=event.reason)


def _suspended(state: SagaState, event: e.SagaSuspended) -> SagaState:
    return state.but(suspended=event.reason, handlers=state.handlers.but(withheld=()))


def _resumed(state: SagaState, _: e.SagaResumed) -> SagaState:
    return state.but(suspended="")


def _saga_failed(state: SagaState, _: e.SagaFailed) -> SagaState:
    return state.but(status=Status.FAILED, suspended="")


def _contradiction(state: SagaState, event: e.ContradictionFound) -> SagaState:
    came = Outcome(event.came)
    step = state.step(event.step)
    line = _with_outcome(step.line(event.direction), event, came, decides=False)
    # A service that says both did do it: whatever it said first, the effect must be undone.
    late = event.direction is Direction.FORWARD and came is Outcome.SUCCEEDED and not step.succeeded
    step = _with_line(step, event.direction, line)
    if late:
        step = _happened_late(state, step)
    return state.with_step(step).but(contradictions=state.contradictions + 1)


def _skipped(state: SagaState, event: e.StepSkipped | e.StepSkippedByHand) -> SagaState:
    return state.with_step(state.step(event.step).but(skipped=True))


def _settled_by_hand(state: SagaState, event: e.StepSettledByHand) -> SagaState:
    step = state.step(event.step)
    line = _closed(step.line(event.direction), event.outcome).but(retry=None, parked=False)
    if event.direction is Direction.COMPENSATE:
        step = step.but(by_hand=True, owed=False)
    elif event.outcome is Outcome.SUCCEEDED:
        step = step.but(succeeded=True, reply=event.reply)
    else:
        line = line.but(error=event.reason)
    return state.with_step(_with_line(step, event.direction, line))


def _given_up(state: SagaState, event: e.StepGivenUp) -> SagaState:
    return state.with_step(state.step(event.step).but(given_up=event.reason))


def _passed_over(state: SagaState, event: e.CompensationPassedOver) -> SagaState:
    step = state.step(event.step)
    compensation = step.compensation.but(retry=None, parked=False)
    return state.with_step(step.but(passed_over=True, compensation=compensation))


def _compensation_reopened(state: SagaState, event: e.CompensationReopened) -> SagaState:
    return state.with_step(state.step(event.step).but(owed=True, passed_over=False, by_hand=False))


def _taken_for_answer(state: SagaState, event: e.EventTakenForAnswer) -> SagaState:
    return state.but(handlers=state.handlers.but(handled=state.handlers.handled.adding(event.cause)))


def _recorded(state: SagaState, event: e.CommandRecorded) -> SagaState:
    step = state.step(event.step)
    line = step.line(event.direction)
    attempt = Attempt(
        event.attempt, event.command_id, event.at, event.expires, limited=event.held, held=event.held
    )
    if event.payload is None:
        last = line.rounds[-1]
        rounds = (*line.rounds[:-1], last.but(attempts=(*last.attempts, attempt)))
    else:
        opened = Round(
            number=event.round,
            key=event.key,
            forward_key=event.forward_key,
            opened=event.at,
            subject=event.subject,
            reply_subject=event.reply_subject,
            payload=event.payload,
            attempts=(attempt,),
        )
        rounds = (*line.rounds, opened)
        if event.direction is Direction.COMPENSATE:
            step = step.but(owed=False)
    line = line.but(rounds=rounds, retry=None, moved=None, stopped="")
    state = state.with_step(_with_line(step, event.direction, line))
    return state.but(limited=True) if event.held else state


def _released(state: SagaState, event: e.CommandReleased) -> SagaState:
    state = _with_attempt(state, event, sent=event.at, expires=event.expires, held=False)
    if event.attempt > 1:
        return state
    step = state.step(event.step)
    line = step.line(event.direction)
    # Before its first attempt left, nobody could know the key.
    rounds = (*line.rounds[:-1], line.rounds[-1].but(opened=event.at))
    return state.with_step(_with_line(step, event.direction, line.but(rounds=rounds)))


def _withdrawn(state: SagaState, event: e.CommandWithdrawn) -> SagaState:
    return _with_attempt(state, event, held=False, withdrawn=True)


def _with_attempt(state: SagaState, event: e.OfCommand, **changes: Any) -> SagaState:
    """The state with its line's last attempt changed: only that one can be held."""
    step = state.step(event.step)
    line = step.line(event.direction)
    last = line.rounds[-1]
    attempts = (*last.attempts[:-1], last.last.but(**changes))
    line = line.but(rounds=(*line.rounds[:-1], last.but(attempts=attempts)))
    return state.with_step(_with_line(step, event.direction, line))


def _succeeded(state: SagaState, event: e.CommandSucceeded) -> SagaState:
    step, line = _answered(state, event, Outcome.SUCCEEDED)
    if event.direction is not Direction.COMPENSATE:
        if step.given_up:
            step = _happened_late(state, step).but(reply=event.reply)
        else:
            step = step.but(succeeded=True, reply=event.reply)
    step = _with_line(step, event.direction, line.but(retry=None, parked=False))
    if event.direction is Direction.CLOSE:
        step = _with_line(step, Direction.FORWARD, _closed(step.forward, Outcome.SUCCEEDED))
    return state.with_step(step)


def _happened_late(state: SagaState, step: StepState) -> StepState:
    # Passed over while nobody knew that it happened: that is decided again.
    again = state.status is Status.COMPENSATING
    return step.but(happened_late=True, passed_over=step.passed_over and not again)


def _rejected(state: SagaState, event: e.CommandRejected) -> SagaState:
    step, line = _answered(state, event, Outcome.REJECTED)
    step = _with_line(step, event.direction, _refused(line, event).but(retry=None))
    if event.direction is Direction.CLOSE:
        # The answer to a close is an answer about the forward key.
        step = _with_line(step, Direction.FORWARD, _closed(step.forward, Outcome.REJECTED))
    return state.with_step(step)


def _failed(state: SagaState, event: e.CommandFailed) -> SagaState:
    step, line = _answered(state, event, Outcome.FAILED)
    line = _refused(line, event).but(forgotten=event.code == FORGOTTEN)
    return state.with_step(_with_line(step, event.direction, line))


def _refused(line: Line, event: e.CommandRejected | e.CommandFailed) -> Line:
    rests = None if event.retry_after is None else event.at + timedelta(seconds=event.retry_after)
    return line.but(error=event.reason or event.code, rests=rests)


def _timed_out(state: SagaState, event: e.CommandTimedOut) -> SagaState:
    step, line = _answered(state, event, Outcome.TIMED_OUT)
    return state.with_step(_with_line(step, event.direction, line.but(error="no answer")))


def _retry_scheduled(state: SagaState, event: e.RetryScheduled) -> SagaState:
    step = state.step(event.step)
    line = step.line(event.direction).but(retry=event.due, moved=None, stopped="")
    if event.anew:
        line = line.but(before=line.sent, parked=False)
    return state.with_step(_with_line(step, event.direction, line))


def _retry_requested(state: SagaState, event: e.RetryRequested) -> SagaState:
    step = state.step(event.step)
    line = step.line(event.direction).but(retry=event.at, moved=None, stopped="")
    return state.with_step(_with_line(step, event.direction, line))


def _migrated(state: SagaState, event: e.SagaMigrated) -> SagaState:
    steps: dict[str, StepState] = {}
    for old, step in state.steps.items():
        new = event.steps.get(old, old)
        steps[new] = step if new == old else step.but(name=new, former=(*step.former, old))
    return state.but(definition=event.definition, steps=steps)


def _timer_rescheduled(state: SagaState, event: e.TimerRescheduled) -> SagaState:
    if not event.step:
        return state.but(deadline=event.due)
    if state.times_out(event.step):
        return with_timeout(state, event.step, event.due)
    step = state.step(event.step)
    if step.waiting:
        return state.with_step(step.but(wait=step.wait and step.wait.but(due=event.due, parked="")))
    line = step.line(event.direction).but(moved=event.due, stopped="")
    return state.with_step(_with_line(step, event.direction, line))


def _timer_cancelled(state: SagaState, event: e.TimerCancelled) -> SagaState:
    if not event.step:
        return state.but(deadline=None)
    if state.times_out(event.step):
        return with_timeout(state, event.step, None)
    step = state.step(event.step)
    if step.waiting:
        return state.with_step(step.but(wait=step.wait and step.wait.but(due=None, parked=event.reason)))
    line = step.line(event.direction).but(stopped=event.reason)
    return state.with_step(_with_line(step, event.direction, line))


def _parked(state: SagaState, event: e.CommandParked) -> SagaState:
    step = state.step(event.step)
    line = step.line(event.direction).but(parked=True)
    if event.stops:
        line = line.but(stopped=event.reason)
    return state.with_step(_with_line(step, event.direction, line))


def _answered(state: SagaState, event: e.OfCommand, outcome: Outcome) -> tuple[StepState, Line]:
    """The step, and the line that was answered."""
    step = state.step(event.step)
    return step, _with_outcome(step.line(event.direction), event, outcome, decides=True)


def _with_outcome(line: Line, event: e.OfCommand, outcome: Outcome, *, decides: bool) -> Line:
    """The line with the outcome added to its attempt and, where it decides, as the answer of its round."""
    round_ = line.rounds[event.round - 1]
    attempt = round_.attempts[event.attempt - 1]
    told = attempt.but(outcomes=(*attempt.outcomes, outcome))
    definite = outcome is Outcome.SUCCEEDED or outcome is Outcome.REJECTED
    answer = outcome if decides and definite and round_.answer is None else round_.answer
    answered = round_.but(attempts=_replaced(round_.attempts, event.attempt, told), answer=answer)
    return line.but(rounds=_replaced(line.rounds, event.round, answered))


def _replaced(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    """The items with another as the one of this number, counted from 1."""
    return (*items[: number - 1], item, *items[number:])


def _closed(line: Line, answer: Outcome) -> Line:
    if line.open is None:
        return line
    last = line.rounds[-1].but(answer=answer)
    return line.but(rounds=(*line.rounds[:-1], last), retry=None, parked=False)


def _with_line(step: StepState, direction: Direction, line: Line) -> StepState:
    match direction:
        case Direction.FORWARD:
            return step.but(forward=line)
        case Direction.COMPENSATE:
            return step.but(compensation=line)
        case Direction.CLOSE:
            return step.but(close=line)


_EVOLVE: dict[type[e.SagaEvent], Callable[[SagaState, Any], SagaState]] = {
    e.StartRefused: _start_refused,
    e.SagaCompleted: _status(Status.COMPLETED),
    e.CompensationStarted: _compensating,
    e.SagaReopened: _reopened,
    e.SagaCompensated: _status(Status.COMPENSATED),
    e.DeadlinePassed: _deadline_passed,
    e.CancelRequested: _cancel_requested,
    e.SagaSuspended: _suspended,
    e.SagaResumed: _resumed,
    e.SagaFailed: _saga_failed,
    e.SagaReleased: lambda state, _: state,
    e.SagaMigrated: _migrated,
    e.TimerRescheduled: _timer_rescheduled,
    e.TimerCancelled: _timer_cancelled,
    e.RetryRequested: _retry_requested,
    e.StepSkippedByHand: _skipped,
    e.StepSettledByHand: _settled_by_hand,
    e.StepSkipped: _skipped,
    e.StepGivenUp: _given_up,
    e.CompensationPassedOver: _passed_over,
    e.CompensationReopened: _compensation_reopened,
    e.EventTakenForAnswer: _taken_for_answer,
    e.CommandRecorded: _recorded,
    e.CommandReleased: _released,
    e.CommandWithdrawn: _withdrawn,
    e.CommandSucceeded: _succeeded,
    e.CommandRejected: _rejected,
    e.CommandFailed: _failed,
    e.CommandTimedOut: _timed_out,
    e.RetryScheduled: _retry_scheduled,
    e.CommandParked: _parked,
    e.ContradictionFound: _contradiction,
    **EVOLVE_HANDLERS,
    **EVOLVE_WAITS,
}

# Whether it is one is asked for every event, and of a Pydantic class `isinstance` asks in Python.
_ACTIONS: Final = frozenset(kind for kind in _EVOLVE if issubclass(kind, e.OperatorAction))
