"""Cancel: the saga turns back where that is still possible."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.actions.refusing import name
from amends.domain.choreography.observing import compensating_event
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Cancel
from amends.domain.planning import pivot_passed, undo
from amends.domain.state import Status
from amends.domain.turn import Turn


def on_cancel(turn: Turn, cancel: Cancel) -> None:
    """Compensate, or close the pivot while its command is out. A suspended saga does so when it is resumed."""
    state = turn.state
    if state.status is not Status.RUNNING:
        raise ActionRefused(f"expected a running saga to cancel; {name(state)} is {state.status}")
    if state.cancelled:
        raise ActionRefused(f"{name(state)} is being cancelled already")
    if pivot_passed(turn):
        pivot = turn.definition.pivot.name if turn.definition.pivot else ""
        raise ActionRefused(
            f"{name(state)} cannot be cancelled: its pivot {pivot!r} is done, so it only goes forward"
        )
    if turn.chain is not None:
        compensating_event(turn, turn.chain)  # refused where there is none
    turn.record(e.CancelRequested, reason=cancel.reason)
    if not state.suspended:
        turn_back(turn)


def turn_back(turn: Turn) -> None:
    """What follows from the request."""
    undo(turn, f"cancelled: {turn.state.cancelled}")
