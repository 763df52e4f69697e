"""What an operator can do to a saga; each action has a file of its own here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from amends.domain import inputs
from amends.domain.actions.abandoning import on_abandon
from amends.domain.actions.cancelling import on_cancel
from amends.domain.actions.migrating import on_migrate
from amends.domain.actions.releasing import on_release
from amends.domain.actions.rescheduling import on_reschedule
from amends.domain.actions.retrying import on_retry
from amends.domain.actions.settling import on_settle
from amends.domain.actions.skipping import on_skip
from amends.domain.actions.suspending import on_resume, on_suspend
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Action
from amends.domain.turn import Turn

_ACTIONS: Final[dict[type[Action], Callable[[Turn, Any], None]]] = {
    inputs.Cancel: on_cancel,
    inputs.Suspend: on_suspend,
    inputs.Resume: on_resume,
    inputs.Retry: on_retry,
    inputs.Skip: on_skip,
    inputs.Settle: on_settle,
    inputs.Abandon: on_abandon,
    inputs.Migrate: on_migrate,
    inputs.Release: on_release,
    inputs.Reschedule: on_reschedule,
}


def on_action(turn: Turn, action: Action) -> None:
    """Record what the operator did, and what follows from it; nothing for a request that was applied before.

    Raises `ActionRefused`, which says why, where it is impossible in the saga's present state.
    """
    if action.message_id in turn.state.actions:
        return
    if not action.reason.strip():
        raise ActionRefused(
            "expected a reason for the action, to be recorded in the saga's history; got none"
        )
    _ACTIONS[type(action)](turn, action)
