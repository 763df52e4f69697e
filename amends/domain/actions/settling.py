"""Settle by hand: a person found out what became of a step, or saw to it that it is undone."""

from __future__ import annotations

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.actions.refusing import name, step_of, undecided
from amends.domain.definition import InvalidMessage, read
from amends.domain.errors import ActionRefused
from amends.domain.events import JsonObject
from amends.domain.inputs import Settle
from amends.domain.planning import attempt_rejected
from amends.domain.state import Status
from amends.domain.turn import Turn
from amends.domain.wire import Direction, Outcome


def on_settle(turn: Turn, settle: Settle) -> None:
    """Take the operator's word for the answer of a step, or for its compensation."""
    if settle.outcome not in (Outcome.SUCCEEDED, Outcome.REJECTED):
        raise ActionRefused(
            f"expected succeeded (it happened) or rejected (it did not, and will not), got {settle.outcome}"
        )
    match settle.direction:
        case Direction.FORWARD:
            _settle_step(turn, settle)
        case Direction.COMPENSATE:
            _settle_compensation(turn, settle)
        case Direction.CLOSE:
            raise ActionRefused("settle the step itself: that answers what its close asks")


def _settle_step(turn: Turn, settle: Settle) -> None:
    state = turn.state
    if state.status is not Status.RUNNING:
        raise ActionRefused(
            f"expected a running saga to settle a step of; {name(state)} is {state.status}. "
            "While it is compensating, settle the step's compensation"
        )
    step = undecided(turn, settle.step)
    known = state.step(step.name)
    if not known.forward.rounds:
        raise ActionRefused(f"step {step.name!r} of {name(state)} was never asked for; skip it instead")
    if known.rejected and settle.outcome is Outcome.REJECTED:
        raise ActionRefused(f"step {step.name!r} of {name(state)} was rejected already")
    reply = _reply(turn, settle, known.forward.rounds[-1].subject)
    turn.record(
        e.StepSettledByHand, step=step.name, outcome=settle.outcome, reply=reply, reason=settle.reason
    )
    if settle.outcome is Outcome.REJECTED and not state.suspended:
        attempt_rejected(turn, step, Direction.FORWARD, settle.reason, after=None)


def _settle_compensation(turn: Turn, settle: Settle) -> None:
    state = turn.state
    step = step_of(turn, settle.step)
    if state.status is not Status.COMPENSATING:
        raise ActionRefused(
            f"expected a compensating saga to settle a compensation of; {name(state)} is {state.status}"
        )
    if state.step(step.name).settled:
        raise ActionRefused(f"nothing is left to undo of step {step.name!r} of {name(state)}")
    if settle.outcome is not Outcome.SUCCEEDED:
        raise ActionRefused(
            "expected a compensation to be settled as succeeded: it is undone, or needs no undoing; "
            f"got {settle.outcome}"
        )
    turn.record(
        e.StepSettledByHand,
        step=step.name,
        direction=Direction.COMPENSATE,
        outcome=settle.outcome,
        reason=settle.reason,
    )


def _reply(turn: Turn, settle: Settle, subject: str) -> JsonObject:
    """The reply that later steps will see, as the service would have given it."""
    if settle.outcome is Outcome.REJECTED:
        return {}
    kind = turn.definition.step(settle.step).reply_type(subject)
    try:
        return read(kind, to_json(settle.reply)).model_dump(mode="json")
    except InvalidMessage as error:
        raise ActionRefused(
            f"expected the reply of step {settle.step!r} to go with succeeded: {error}"
        ) from error
