"""Reschedule or cancel a timer: of a step's attempt or retry delay, a handler's timeout, or the saga's deadline."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.actions.refusing import name, step_of
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Reschedule
from amends.domain.state import Status
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def on_reschedule(turn: Turn, reschedule: Reschedule) -> None:
    """Record when the timer is to fall due now; a step that is left without one waits until somebody comes."""
    direction = _direction(turn, reschedule.step) if reschedule.step else _deadline(turn)
    timer = {"step": reschedule.step, "direction": direction, "reason": reschedule.reason}
    if reschedule.due is None:
        turn.record(e.TimerCancelled, **timer)
    else:
        turn.record(e.TimerRescheduled, due=reschedule.due, **timer)


def _direction(turn: Turn, step: str) -> Direction:
    if turn.state.times_out(step):
        return Direction.FORWARD
    step_of(turn, step)
    for known, direction, line in turn.state.active():
        if known.name == step and (line.due or line.stopped):
            return direction
    if any(known.name == step for known, _ in turn.state.waits()):
        return Direction.FORWARD
    raise ActionRefused(f"no timer of step {step!r} of {name(turn.state)} is running")


def _deadline(turn: Turn) -> Direction:
    state = turn.state
    if state.status is not Status.RUNNING or state.deadline_passed:
        passed = "its deadline has passed" if state.deadline_passed else f"it is {state.status}"
        raise ActionRefused(f"the deadline of {name(state)} cannot be moved: {passed}")
    return Direction.FORWARD
