"""What a saga was told, read out of what it recorded: the inputs of `decide`, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.evolve import evolve
from amends.domain.history import Recorded
from amends.domain.inputs import (
    Abandon,
    Action,
    Cancel,
    Input,
    Reschedule,
    Resume,
    Retry,
    Settle,
    Skip,
    Suspend,
)
from amends.domain.state import SagaState
from amends.domain.told import Admit, Arrival, Reply, Start, Tick
from amends.domain.wire import Outcome

_TIMER: Final = Tick().message_id
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Told:
    """An input, and what the record knows of it: the version of its first event, when it was decided, and by whom.

    `answers` is the command that it is an answer to. `due` is when the recorded saga was to be woken before it came.
    """

    version: int
    at: datetime
    by: str
    given: Input
    answers: UUID | None
    due: datetime | None


def told(history: Sequence[Recorded]) -> list[Told]:
    """Every input that led to an event.

    Repeats and events that changed nothing left no trace, and need none. An event that was passed over is not told
    again: its content was not recorded.
    """
    return list(_told(history))


def _told(history: Sequence[Recorded]) -> Iterator[Told]:
    state: SagaState | None = None
    for _, together in groupby(history, key=_turn):
        turn = list(together)
        before, due = state, state.wake_up if state else None
        for recorded in turn:
            state = evolve(state, recorded.event, recorded.originator_id)
        assert state is not None
        first = turn[0].event
        given = _input([recorded.event for recorded in turn], before, state)
        if given is not None:
            answers = _answered(before, first) if type(first) in _OUTCOMES else None
            yield Told(turn[0].originator_version, first.at, first.by, given, answers, due)


def _turn(recorded: Recorded) -> tuple[object, ...]:
    """What the events that one input led to have in common. Each release is one of its own, whatever its name."""
    event = recorded.event
    alone = recorded.originator_version if isinstance(event, e.CommandReleased) else 0
    return event.at, event.cause, event.by, alone


def _input(events: Sequence[e.SagaEvent], before: SagaState | None, after: SagaState) -> Input | None:
    # What an abandoned saga withdraws is recorded before its end.
    first = next((event for event in events if not isinstance(event, e.CommandWithdrawn)), events[0])
    if isinstance(first, e.SagaStarted):
        return _start(first, after)
    if type(first) in _OUTCOMES:
        return _reply(first, before, events)
    if isinstance(first, e.CommandReleased):
        return Admit(_answered(before, first), first.cause, trace=first.trace)
    if isinstance(first, e.OperatorAction):
        make = _ACTIONS.get(type(first))
        return make(first, events) if make else None
    if isinstance(first, e.EventReceived | e.EventHandled) and first.event:
        return Arrival(first.cause, first.subject, to_json(first.event), trace=first.trace)
    if isinstance(first, e.StartRefused):
        return Start(first.cause, after.id, after.namespace, after.key, after.subject, {}, trace=first.trace)
    if first.cause == _TIMER:
        return _tick(first, after)
    return None


def _start(event: e.SagaStarted, state: SagaState) -> Start:
    return Start(
        event.cause, state.id, event.namespace, event.key, event.subject, event.start, trace=event.trace
    )


def _tick(event: e.SagaEvent, after: SagaState) -> Tick:
    """What fell due later in the same instant was held back, so that no timeout overtook an event."""
    due = after.wake_up
    until = event.at if due is None or due > event.at else due - _INSTANT
    return Tick(until, trace=event.trace)


def _answered(before: SagaState | None, event: e.SagaEvent) -> UUID:
    assert before is not None
    assert isinstance(event, e.OfCommand)
    return (
        before.step(event.step)
        .line(event.direction)
        .rounds[event.round - 1]
        .attempts[event.attempt - 1]
        .command_id
    )


def _reply(event: Any, before: SagaState | None, events: Sequence[e.SagaEvent]) -> Reply | Arrival:
    foreign = next((each for each in events if isinstance(each, e.EventTakenForAnswer)), None)
    body = getattr(event, "reply", None) or getattr(event, "details", None)
    if foreign is not None and body:  # what a contradicting event said was not recorded
        return Arrival(event.cause, foreign.subject, to_json(body), trace=event.trace)
    outcome = _OUTCOMES[type(event)] or Outcome(event.came)
    return Reply(
        event.cause,
        _answered(before, event),
        outcome,
        body=to_json(getattr(event, "reply", {})),
        code=getattr(event, "code", ""),
        reason=getattr(event, "reason", ""),
        details=getattr(event, "details", None),
        retry_after=getattr(event, "retry_after", None),
        trace=event.trace,
    )


_OUTCOMES: Final[dict[type[e.SagaEvent], Outcome | None]] = {
    e.CommandSucceeded: Outcome.SUCCEEDED,
    e.CommandRejected: Outcome.REJECTED,
    e.CommandFailed: Outcome.FAILED,
    e.ContradictionFound: None,  # the event says which
}


def _common(event: e.OperatorAction) -> dict[str, Any]:
    return {"message_id": event.cause, "reason": event.reason, "by": event.by, "trace": event.trace}


def _retry(event: Any, events: Sequence[e.SagaEvent]) -> Action:
    several = sum(isinstance(each, e.RetryRequested) for each in events) > 1
    return Retry(**_common(event), step="" if several else event.step)


def _settle(event: Any, _: Sequence[e.SagaEvent]) -> Action:
    return Settle(
        **_common(event),
        step=event.step,
        outcome=event.outcome,
        direction=event.direction,
        reply=event.reply,
    )


_ACTIONS: Final[dict[type[e.SagaEvent], Callable[[Any, Sequence[e.SagaEvent]], Action]]] = {
    e.CancelRequested: lambda event, _: Cancel(**_common(event)),
    e.SagaSuspended: lambda event, _: Suspend(**_common(event)),
    e.SagaResumed: lambda event, _: Resume(**_common(event)),
    e.SagaFailed: lambda event, _: Abandon(**_common(event)),
    e.RetryRequested: _retry,
    e.StepSkippedByHand: lambda event, _: Skip(**_common(event), step=event.step),
    e.StepSettledByHand: _settle,
    e.TimerRescheduled: lambda event, _: Reschedule(**_common(event), step=event.step, due=event.due),
    e.TimerCancelled: lambda event, _: Reschedule(**_common(event), step=event.step),
}
