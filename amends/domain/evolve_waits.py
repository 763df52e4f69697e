"""The part of the fold that serves steps which ask nobody: what came and was kept, how waits ended, what was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from amends.domain import events as e
from amends.domain.state import Kept, SagaState, Wait


def _received(state: SagaState, event: e.EventReceived) -> SagaState:
    kept = Kept(event.cause, event.subject, event.event)
    handlers = state.handlers.but(handled=state.handlers.handled.adding(event.cause))
    return state.but(handlers=handlers, kept=(*state.kept, kept))


def _started(state: SagaState, event: e.WaitStarted) -> SagaState:
    step = state.step(event.step)
    wait = Wait(event.at, event.subjects, event.due, again=step.wait is not None)
    return state.with_step(step.but(wait=wait))


def _succeeded(state: SagaState, event: e.WaitSucceeded) -> SagaState:
    reply = next(kept.event for kept in state.kept if kept.message_id == event.message_id)
    step = state.step(event.step).but(succeeded=True, reply=reply)
    return _without(state.with_step(step), event.message_id)


def _rejected(state: SagaState, event: e.WaitRejected) -> SagaState:
    return _without(state, event.message_id)


def _timed_out(state: SagaState, event: e.WaitTimedOut) -> SagaState:
    step = state.step(event.step)
    return state.with_step(step.but(wait=step.wait and step.wait.but(due=None)))


def _parked(state: SagaState, event: e.WaitParked) -> SagaState:
    step = state.step(event.step)
    return state.with_step(step.but(wait=step.wait and step.wait.but(parked=event.reason)))


def _announced(state: SagaState, event: e.StepAnnounced) -> SagaState:
    return state.with_step(state.step(event.step).but(succeeded=True))


def _without(state: SagaState, message_id: str) -> SagaState:
    return state.but(kept=tuple(kept for kept in state.kept if kept.message_id != message_id))


EVOLVE_WAITS: Final[dict[type[e.SagaEvent], Callable[[SagaState, Any], SagaState]]] = {
    e.EventReceived: _received,
    e.WaitStarted: _started,
    e.WaitSucceeded: _succeeded,
    e.WaitRejected: _rejected,
    e.WaitTimedOut: _timed_out,
    e.WaitParked: _parked,
    e.StepAnnounced: _announced,
}
