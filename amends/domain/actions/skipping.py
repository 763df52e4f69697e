"""Skip: the saga goes on behind a step without it."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.actions.refusing import name, undecided
from amends.domain.definition import StepDefinition
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Skip
from amends.domain.state import Status
from amends.domain.turn import Turn


def on_skip(turn: Turn, skip: Skip) -> None:
    """Skip the step whose turn it is. If a command was recorded, it may have happened, and counts so."""
    state = turn.state
    observed = turn.chain is not None and state.status is Status.COMPENSATING
    if state.status is not Status.RUNNING and not observed:
        raise ActionRefused(
            f"expected a running saga to skip a step of; {name(state)} is {state.status}. "
            "A compensation can be settled by hand"
        )
    step = undecided(turn, skip.step)
    waits_for = [before for before in step.after if not state.step(before).done]
    if waits_for:
        raise ActionRefused(
            f"the turn of step {step.name!r} of {name(state)} has not come: {', '.join(waits_for)} comes before"
        )
    if state.step(step.name).close.rounds:
        raise ActionRefused(
            f"the pivot {step.name!r} of {name(state)} is being closed, because the saga is to turn back; "
            "settle it by hand instead, as succeeded or rejected"
        )
    if _is_awaited(turn, step):
        raise ActionRefused(
            f"a handler of {name(state)} goes on with the answer to {step.name!r}, and skipped there is none; "
            "settle it by hand instead, as succeeded with what the service would have answered, or as rejected"
        )
    turn.record(e.StepSkippedByHand, step=step.name, reason=skip.reason)


def _is_awaited(turn: Turn, step: StepDefinition) -> bool:
    """A handler is still to be told of its success."""
    manager, over = turn.manager, turn.state.handlers.completing
    return manager is not None and not over and manager.hears_of(step.forward.commands)
