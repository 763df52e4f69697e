"""Timers set anew: of time only the order is left, and any order is possible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from amends.domain.state import Line, SagaState, StepState
from amends.domain.wire import Direction

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
SOON: Final = NOW + timedelta(seconds=1)
_LATER: Final = NOW.replace(year=9000)


class Kind(Enum):
    """Whose timer it is."""

    LINE = "an attempt's, or the delay before the next"
    WAIT = "a wait's"
    TIMEOUT = "one that a handler asked for"
    DEADLINE = "the saga's"


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer of a saga: of a step, or of the name that a handler gave it."""

    kind: Kind
    name: str = ""
    direction: Direction = Direction.FORWARD


def with_timers(state: SagaState, soon: Timer | None = None) -> SagaState:
    """The state at `NOW`, with one timer due `SOON` and all others much later."""

    def due(timer: Timer) -> datetime:
        return SOON if timer == soon else _LATER

    steps = dict(state.steps)
    for step, direction, line in state.active():
        if line.due is not None:
            timer = Timer(Kind.LINE, step.name, direction)
            steps[step.name] = _with_due(steps[step.name], direction, line, due(timer))
    for step, wait in state.waits():
        if wait.due is not None:
            steps[step.name] = step.but(wait=wait.but(due=due(Timer(Kind.WAIT, step.name))))
    changes: dict[str, Any] = {"steps": MappingProxyType(steps), "at": NOW}
    if state.deadline_due:
        changes["deadline"] = due(Timer(Kind.DEADLINE))
    if state.handlers.timeouts:
        timeouts = {name: due(Timer(Kind.TIMEOUT, name)) for name in state.handlers.timeouts}
        changes["handlers"] = state.handlers.but(timeouts=MappingProxyType(timeouts))
    return state.but(**changes)


def _with_due(step: StepState, direction: Direction, line: Line, due: datetime) -> StepState:
    if line.in_flight is None:
        line = line.but(retry=due)
    else:
        last = line.rounds[-1]
        attempts = (*last.attempts[:-1], last.last.but(expires=due))
        line = line.but(rounds=(*line.rounds[:-1], last.but(attempts=attempts)))
    field = "compensation" if direction is Direction.COMPENSATE else str(direction)
    return step.but(**{field: line})
