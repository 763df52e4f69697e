"""A saga's history as sentences, and where it stands: from its events alone, without its definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from amends.domain import events as e
from amends.domain.events import JsonObject
from amends.domain.handlers.state import HandlerState
from amends.domain.history import Recorded
from amends.domain.state import SagaState, Wait
from amends.domain.wire import Direction
from amends.projections.steps import where
from amends.projections.times import utc

_ASKING: Final = {
    Direction.FORWARD: "{service} to do {what}",
    Direction.COMPENSATE: "{service} to undo {what}",
    Direction.CLOSE: "{service} whether {step} happened, and to see to it that from now on it cannot",
}
_WHAT: Final = {
    Direction.FORWARD: "{step}",
    Direction.COMPENSATE: "undoing {step}",
    Direction.CLOSE: "closing {step}",
}
_NO_PROOF: Final = "; that is no proof that it did not happen"


def sentence(event: e.SagaEvent) -> str:
    """What the event means, to somebody who has never seen the definition."""
    return _SENTENCES[type(event)](event)


def story(history: Sequence[Recorded]) -> list[JsonObject]:
    """Every event as JSON: version, time, type, sentence, who and what caused it, and its own fields."""
    return [
        {
            "version": recorded.originator_version,
            "at": recorded.event.at.isoformat(),
            "type": recorded.event.type,
            "sentence": sentence(recorded.event),
            "by": recorded.event.by,
            "cause": recorded.event.cause,
            "trace": recorded.event.trace,
            "data": recorded.event.model_dump(mode="json", exclude={"at", "by", "cause", "trace"}),
        }
        for recorded in history
    ]


def standing(state: SagaState, version: int, steps: Sequence[str] = ()) -> JsonObject:
    """Where the saga stands, what it waits for and since when; `steps` are those of its definition, in order."""
    return {
        "id": str(state.id),
        "saga": f"{state.saga}@{state.definition}",
        "key": state.key,
        "status": str(state.status),
        "reason": state.reason,
        "suspended": state.suspended,
        "started": state.started.isoformat(),
        "updated": state.at.isoformat(),
        "deadline": state.deadline and state.deadline.isoformat(),
        "deadline_passed": state.deadline_passed,
        "version": version,
        "contradictions": state.contradictions,
        "waits": [
            *(_wait(step.name, direction, line) for step, direction, line in state.active()),
            *(_wait_for_event(step.name, wait) for step, wait in state.waits()),
        ],
        "steps": {name: where(state, name) for name in dict.fromkeys((*steps, *state.steps))},
        **_handlers(state.handlers),
    }


def _handlers(known: HandlerState) -> JsonObject:
    """What the handlers of a process manager know, and by what else events find it; nothing of a saga of steps."""
    facts: JsonObject = {
        "state": known.model,
        "timeouts": {name: due.isoformat() for name, due in known.timeouts.items()},
        "known_as": [f"{name} {value}" for name, value in sorted(known.keys)],
        "clashes": [f"{name} {value}" for name, value in sorted(known.clashes)],
    }
    return {name: fact for name, fact in facts.items() if fact}


def unreadable(saga_id: UUID, saga: str, definition: int, key: str, status: str, version: int) -> JsonObject:
    """What is known of a saga that has no event yet, or whose history this program cannot read."""
    return {
        "id": str(saga_id),
        "saga": f"{saga}@{definition}",
        "key": key,
        "status": status or "not begun",
        "version": version,
        "waits": [],
        "steps": {},
    }


def _wait(step: str, direction: Direction, line: Any) -> JsonObject:
    attempt = line.in_flight
    waiting: JsonObject = {
        "step": step,
        "direction": str(direction),
        "subject": line.rounds[-1].subject,
        "attempts": line.tries,
        "parked": line.parked,
    }
    if attempt is not None:
        waiting |= {"for": "an answer", "since": attempt.sent.isoformat()}
    elif line.held is not None:
        waiting |= {"for": "the limits of its service", "since": line.held.sent.isoformat()}
    else:
        waiting |= {"for": "a decision" if line.undecided else "the next attempt"}
    waiting |= {"until": line.due and line.due.isoformat(), "timer_cancelled": line.stopped}
    return waiting | {"last_error": line.error}


def _wait_for_event(step: str, wait: Wait) -> JsonObject:
    return {
        "step": step,
        "direction": str(Direction.FORWARD),
        "attempts": 0,
        "parked": bool(wait.parked),
        "for": " or ".join(wait.subjects),
        "since": wait.since.isoformat(),
        "until": wait.due and wait.due.isoformat(),
        "last_error": wait.parked,
    }


def _attempt(event: e.OfCommand) -> str:
    again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    return f" (round {event.round}){again}" if event.round > 1 else again


def _what(event: Any) -> str:
    return _WHAT[event.direction].format(step=event.step)


def _recorded(event: e.CommandRecorded) -> str:
    service, _, action = event.subject.partition(".")
    what = event.step if action == event.step else f"{event.step} ({action})"
    asked = _ASKING[event.direction].format(service=service, what=what, step=event.step)
    if event.held:
        return f"will ask {asked}{_attempt(event)}, when the limits of {service} allow it"
    return f"asked {asked}{_attempt(event)}"


def _succeeded(event: e.CommandSucceeded) -> str:
    return f"{_what(event)} succeeded{_attempt(event)}"


def _refused(event: e.CommandRejected | e.CommandFailed) -> str:
    why = event.reason or event.code or "no reason given"
    if isinstance(event, e.CommandFailed):
        doubt = _NO_PROOF if event.direction is Direction.FORWARD else ""
        return f"{_what(event)} failed{_attempt(event)}, for a technical reason: {why}{doubt}"
    if event.direction is Direction.CLOSE:
        return f"{event.step} did not happen, and no longer can: {why}"
    return f"{_what(event)} was rejected{_attempt(event)}: {why}"


def _abandoned(event: e.SagaFailed) -> str:
    effects = f"; not undone: {', '.join(event.effects)}" if event.effects else ""
    keys = ", ".join(f"{_WHAT[key.direction].format(step=key.step)} ({key.key})" for key in event.unresolved)
    unknown = f"; nobody knows of: {keys}" if keys else ""
    return f"{event.by} abandoned it: {event.reason}{effects}{unknown}"


def _timer(event: e.TimerRescheduled | e.TimerCancelled) -> str:
    return f"the timer of {_what(event)}" if event.step else "the deadline"


def _timed_out(event: e.CommandTimedOut) -> str:
    return f"no answer in time to {_what(event)}{_attempt(event)}; nobody knows whether it happened"


_SENTENCES: Final[dict[type[e.SagaEvent], Callable[[Any], str]]] = {
    e.SagaStarted: lambda v: f"{v.saga} {v.key} started, because of the event {v.subject}",
    e.StartRefused: lambda v: f"another start was refused: {v.reason}",
    e.SagaCompleted: lambda _: "completed: every step is done",
    e.CompensationStarted: lambda v: f"turned back, to undo what happened or may have: {v.reason}",
    e.SagaCompensated: lambda _: "compensated: all that had to be undone is undone",
    e.SagaReopened: lambda v: f"turned back after its end: {v.reason}",
    e.DeadlinePassed: lambda _: "the deadline passed",
    e.CancelRequested: lambda v: f"{v.by} asked to cancel: {v.reason}",
    e.SagaSuspended: lambda v: f"{v.by} suspended it: {v.reason}",
    e.SagaResumed: lambda v: f"{v.by} resumed it: {v.reason}",
    e.EventHandled: lambda v: f"heard of {v.subject}",
    e.EventPassedOver: lambda v: f"heard of {v.subject}, from which nothing follows: {v.reason}",
    e.EventPublished: lambda v: f"published the event {v.subject}",
    e.TimeoutRequested: lambda v: f"set the timeout {v.name!r} to {utc(v.due)}",
    e.TimeoutCancelled: lambda v: f"took back the timeout {v.name!r}",
    e.TimeoutFired: lambda v: f"the timeout {v.name!r} came",
    e.CompletionRequested: lambda _: (
        "has nothing more to decide, and completes when all that it sent is answered"
    ),
    e.KeyLearnt: lambda v: f"is known by {v.name} {v.value}, too",
    e.KeyClashed: lambda v: f"cannot be known by {v.name} {v.value}, which another saga has; needs a person",
    e.SendRequested: lambda v: f"decided to send {v.subject}, as {v.step}",
    e.SagaFailed: _abandoned,
    e.SagaMigrated: lambda v: f"{v.by} moved it to version {v.definition}: {v.reason}",
    e.SagaReleased: lambda v: f"{v.by} released it from quarantine: {v.reason}",
    e.TimerRescheduled: lambda v: f"{v.by} moved {_timer(v)} to {utc(v.due)}: {v.reason}",
    e.TimerCancelled: lambda v: f"{v.by} cancelled {_timer(v)}: {v.reason}",
    e.RetryRequested: lambda v: f"{v.by} asked to try {_what(v)} again now: {v.reason}",
    e.StepSkippedByHand: lambda v: f"{v.by} skipped {v.step}: {v.reason}",
    e.StepSettledByHand: lambda v: f"{v.by} settled {_what(v)} as {v.outcome}: {v.reason}",
    e.StepSkipped: lambda v: f"{v.step} was skipped: there is nothing to ask for",
    e.StepGivenUp: lambda v: f"{v.step} was given up: it will not be tried again",
    e.CompensationPassedOver: lambda v: f"{v.step} needs no undoing: {v.reason}",
    e.EventReceived: lambda v: f"the event {v.subject} came",
    e.WaitStarted: lambda v: (
        f"{v.step} waits for {' or '.join(v.subjects)}, until {utc(v.due)} at the latest"
    ),
    e.CompensationReopened: lambda v: f"{v.step} must be undone once more: {v.reason}",
    e.EventTakenForAnswer: lambda v: f"the event {v.subject} was taken for the answer of {_what(v)}",
    e.StepAnnounced: lambda v: f"{v.step} is done: it was told",
    e.WaitSucceeded: lambda v: f"{v.step} has the event that it waited for",
    e.WaitRejected: lambda v: f"{v.step} has the event that it waited for, which says no",
    e.WaitTimedOut: lambda v: f"{v.step} waited in vain: nothing came in time",
    e.WaitParked: lambda v: f"{v.step} needs a person ({v.reason}); it waits on",
    e.CommandRecorded: _recorded,
    e.CommandReleased: lambda v: f"the limits allow {_what(v)}{_attempt(v)}: it was sent",
    e.CommandWithdrawn: lambda v: f"{_what(v)}{_attempt(v)} is wanted no longer, and was never sent",
    e.CommandSucceeded: _succeeded,
    e.CommandRejected: _refused,
    e.CommandFailed: _refused,
    e.CommandTimedOut: _timed_out,
    e.RetryScheduled: lambda v: f"{_what(v)} will be tried again at {utc(v.due)}",
    e.CommandParked: lambda v: (
        f"{_what(v)} needs a person to look at it: {v.reason}; "
        + ("until then nothing more is sent" if v.stops else "meanwhile it is tried again, slowly")
    ),
    e.ContradictionFound: lambda v: (
        f"{_what(v)}: the service said {v.recorded}, and now {v.came}; needs a person"
    ),
}
