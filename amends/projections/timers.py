"""The timers of a saga: what it will be woken by, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from amends.domain.events import JsonObject
from amends.domain.state import SagaState, Status
from amends.domain.wire import Direction

_OF: Final = {Direction.FORWARD: "", Direction.COMPENSATE: "undoing ", Direction.CLOSE: "closing "}


def timers(state: SagaState) -> list[JsonObject]:
    """Each with its name, the step or timeout that an operator names (none: the deadline), and when it falls due."""
    found = [
        _timer(f"{_OF[direction]}{step.name}", step.name, line.due, line.stopped)
        for step, direction, line in state.active()
        if line.due or line.stopped
    ]
    if state.status is Status.RUNNING and not state.handlers.completing:
        found += [_timer(f"timeout {name}", name, due, "") for name, due in state.handlers.timeouts.items()]
    found += [_timer(step.name, step.name, wait.due, wait.parked) for step, wait in state.waits()]
    if state.deadline_due:
        found.append(_timer("deadline", "", state.deadline_due, ""))
    if state.suspended:
        found = [{**timer, "note": f"not applied while suspended: {state.suspended}"} for timer in found]
    return sorted(found, key=lambda timer: timer["due"] or "9")


def _timer(name: str, step: str, due: datetime | None, stopped: str) -> JsonObject:
    note = f"cancelled: {stopped}" if stopped else ""
    return {"timer": name, "step": step, "due": due.isoformat() if due else None, "note": note}
