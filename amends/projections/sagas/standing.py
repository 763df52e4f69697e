"""A saga's row: where it stands, what it waits for, and the one reason why it stands there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from amends.domain.events import JsonObject
from amends.projections.projection import dumps
from amends.projections.sagas import lines
from amends.projections.sagas.fold import COMPENSATING, RUNNING
from amends.projections.sagas.lines import CLOSE, COMPENSATE, FORWARD, SUCCEEDED

AWAITING_REPLY: Final = "awaiting a reply"
RETRYING: Final = "retrying"
PARKED_STEP: Final = "parked step"
PARKED_COMPENSATION: Final = "parked compensation"
SUSPENDED: Final = "suspended"
QUARANTINED: Final = "quarantined"
NO_WORKER: Final = "no worker for its version"
WAITING: Final = "waiting for a person or event"
LIMITS: Final = "limits"
DEADLINE_PASSED: Final = "deadline passed"
PROJECTION_BEHIND: Final = "projection behind"
BROKER_GAP: Final = "broker gap"

REASONS: Final = (
    AWAITING_REPLY, RETRYING, PARKED_STEP, PARKED_COMPENSATION, SUSPENDED, QUARANTINED, NO_WORKER, WAITING, LIMITS,
    DEADLINE_PASSED, PROJECTION_BEHIND, BROKER_GAP,
)  # fmt: skip
"""Why a saga has not ended: the closed list. What is not in its history, the view `stuck` adds from the store."""

COLUMNS: Final = (
    "sagas", "definitions", "keys", "statuses", "versions", "started", "updated", "ended", "deadlines",
    "deadlines_passed", "reasons", "suspended", "cancelled", "contradictions", "attempts", "last_errors",
    "last_errors_at", "done_steps", "current_steps", "undone_steps", "left_to_undo", "waits", "next_due", "stuck",
    "stuck_since", "stuck_steps", "stuck_directions", "started_by", "traces",
)  # fmt: skip

_SEPARATOR: Final = "\x1f"
_LONG_AGO: Final = "0001-01-01T00:00:00Z"


class Stuck(NamedTuple):
    """Why a saga stands where it stands."""

    reason: str = ""
    since: str | None = None
    step: str = ""
    direction: str = ""


def row(saga: JsonObject) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    steps: JsonObject = saga.get("steps", {})
    status = saga.get("status", RUNNING)
    waits = list(_waits(saga)) if status in (RUNNING, COMPENSATING) else []
    stuck = _stuck(saga, status, waits)
    started = saga.get("started", _LONG_AGO)
    return (
        saga.get("saga", ""),
        saga.get("definition", 0),
        saga.get("key", ""),
        status,
        saga["version"],
        started,
        saga.get("updated", started),
        saga.get("ended"),
        saga.get("deadline"),
        saga.get("deadline_passed"),
        saga.get("reason", ""),
        saga.get("suspended", ""),
        saga.get("cancelled", ""),
        saga.get("contradictions", 0),
        sum(step[line].get("sent", 0) for step in steps.values() for line in _DIRECTIONS if line in step),
        saga.get("last_error", ""),
        saga.get("last_error_at"),
        _names(name for name, step in steps.items() if "succeeded" in step or "skipped" in step),
        _names(dict.fromkeys(wait["step"] for wait in waits if wait["step"])),
        _names(name for name, step in steps.items() if _undone(step)),
        _names(name for name, step in steps.items() if status == COMPENSATING and not lines.settled(step)),
        dumps(waits) if waits else "[]",
        None if "suspended" in saga else _first_due(saga, status, waits),
        stuck.reason,
        stuck.since,
        stuck.step,
        stuck.direction,
        saga.get("by", ""),
        saga.get("trace", ""),
    )


_DIRECTIONS: Final = (FORWARD, COMPENSATE, CLOSE)


def _names(names: Any) -> str:
    return _SEPARATOR.join(names)


def _undone(step: JsonObject) -> bool:
    return "by_hand" in step or step.get(COMPENSATE, {}).get("answer") == SUCCEEDED


def _waits(saga: JsonObject) -> Iterator[JsonObject]:
    """What may bring the saga on: answers, retries, events, timeouts."""
    for name, step in saga.get("steps", {}).items():
        if "wait" in step and not lines.decided(step):
            yield _event(name, step["wait"])
        if saga["status"] == RUNNING:
            if lines.decided(step):
                continue
            if "round" in step.get(FORWARD, {}):
                direction = CLOSE if "round" in step.get(CLOSE, {}) else FORWARD
                yield _line(name, direction, step[direction])
        elif "round" in step.get(COMPENSATE, {}) and not lines.settled(step):
            yield _line(name, COMPENSATE, step[COMPENSATE])
    if saga.get("status") == RUNNING and "completing" not in saga:
        for name, timeout in saga["timeouts"].items():
            yield _entry("timeout", "", "", subject=name, **timeout)


def _line(step: str, direction: str, line: JsonObject) -> JsonObject:
    return _entry(
        _kind(line),
        step,
        direction,
        since=line["since"],
        due=lines.due(line),
        subject=line["subject"],
        attempts=lines.attempts(line),
        parked=line.get("parked", ""),
        parked_since=line.get("parked_since"),
        stopped=line.get("stopped", ""),
        error=line.get("error", ""),
    )


def _kind(line: JsonObject) -> str:
    if "held" in line:
        return "limits"
    return "reply" if lines.in_flight(line) else "retry" if "retry" in line else "decision"


def _event(step: str, wait: JsonObject) -> JsonObject:
    return _entry(
        "event", step, FORWARD, due=wait.get("due"), **{k: v for k, v in wait.items() if k != "due"}
    )


def _entry(kind: str, step: str, direction: str, **facts: Any) -> JsonObject:
    known = {name: value for name, value in facts.items() if value not in ("", None)}
    return {"for": kind, "step": step, "direction": direction, **known}


def _first_due(saga: JsonObject, status: str, waits: list[JsonObject]) -> str | None:
    times: list[str] = [wait["due"] for wait in waits if "due" in wait]
    if status == RUNNING and "deadline" in saga and "deadline_passed" not in saga:
        times.append(saga["deadline"])
    return min(times, key=datetime.fromisoformat, default=None)


def _stuck(saga: JsonObject, status: str, waits: list[JsonObject]) -> Stuck:
    """The one reason: what an operator would have to mend first."""
    if status not in (RUNNING, COMPENSATING):
        return Stuck()
    if "unreadable" in saga:
        return Stuck(QUARANTINED, saga.get("updated"))
    if "suspended" in saga:
        return Stuck(SUSPENDED, saga["suspended_at"])
    parked = [wait for wait in waits if "parked" in wait]
    if parked:
        first = _oldest(parked, "parked_since")
        reason = PARKED_COMPENSATION if first["direction"] == COMPENSATE else PARKED_STEP
        return Stuck(reason, first["parked_since"], first["step"], first["direction"])
    steps = [wait for wait in waits if wait["for"] != "timeout"]
    if not steps:
        return Stuck(WAITING, saga["updated"])
    first = _oldest(steps, "since")
    if "deadline_passed" in saga and status == RUNNING:
        return Stuck(DEADLINE_PASSED, saga["deadline_passed"], first["step"], first["direction"])
    return Stuck(_waiting(first), first["since"], first["step"], first["direction"])


def _oldest(waits: list[JsonObject], since: str) -> JsonObject:
    return min(waits, key=lambda wait: datetime.fromisoformat(wait[since]))


def _waiting(wait: JsonObject) -> str:
    if wait["for"] == "limits":
        return LIMITS
    if wait["for"] == "event" or (wait["for"] == "retry" and "stopped" in wait):
        return WAITING
    return AWAITING_REPLY if wait["for"] == "reply" else RETRYING
