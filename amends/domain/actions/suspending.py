"""Suspend and resume: in between, answers are recorded, and nothing follows from them."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.actions.cancelling import turn_back
from amends.domain.actions.refusing import name
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Resume, Suspend
from amends.domain.planning import attempt_failed, attempt_rejected, pivot_passed
from amends.domain.state import Line, SagaState, Status
from amends.domain.turn import Turn
from amends.domain.wire import Direction, Outcome


def on_suspend(turn: Turn, suspend: Suspend) -> None:
    """Set the flag. It needs no definition, so that a saga can be suspended whose code is nowhere."""
    state = turn.state
    if state.status.final:
        raise ActionRefused(f"expected an unfinished saga to suspend; {name(state)} is {state.status}")
    if state.suspended:
        raise ActionRefused(f"{name(state)} is suspended already, because: {state.suspended}")
    turn.record(e.SagaSuspended, reason=suspend.reason)


def on_resume(turn: Turn, resume: Resume) -> None:
    """Take the flag away, and decide what is pending; timers that fell due meanwhile are applied by the next tick."""
    if not turn.state.suspended:
        raise ActionRefused(f"expected a suspended saga to resume; {name(turn.state)} is not suspended")
    turn.record(e.SagaResumed, reason=resume.reason)
    for step in list(turn.state.steps):
        _decide_pending(turn, step)
    if turn.state.cancelled and turn.state.status is Status.RUNNING and not pivot_passed(turn):
        turn_back(turn)


def _decide_pending(turn: Turn, step: str) -> None:
    direction, line = _undecided(turn.state, step)
    definition = turn.definition.step(step)
    after = (line.rests - turn.now).total_seconds() if line.rests else None
    if line.undecided is Outcome.REJECTED:
        attempt_rejected(turn, definition, direction, line.error, after=after)
    elif line.undecided is Outcome.FAILED:
        attempt_failed(turn, definition, direction, line.error, after=after, hopeless=line.forgotten)


def _undecided(state: SagaState, step: str) -> tuple[Direction, Line]:
    """The line of the step on which an answer may be pending; an empty one where none can be."""
    known = state.step(step)
    if state.status is Status.RUNNING and known.rejected and not known.decided:
        return (
            Direction.FORWARD,
            known.forward,
        )  # of a pivot too that is being closed: its own late answer decides
    active = ((direction, line) for each, direction, line in state.active() if each.name == step)
    return next(active, (Direction.FORWARD, Line()))
