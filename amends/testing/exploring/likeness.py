"""When two states are alike: what of a state decides what can happen next, and its timers set anew.

Attempts are told apart as the first and the last: a policy only asks whether the quick ones are used up. Of time
only the order is left, and any order is possible: each timer may be the next that falls due.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import to_json

from amends.domain.definition import Asking, Definition
from amends.domain.state import Line, SagaState, Status, StepState
from amends.domain.wire import Direction

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
SOON: Final = NOW + timedelta(seconds=1)
_LATER: Final = NOW.replace(year=9000)

_TWO: Final = 2


def bounded(definition: Definition) -> Definition:
    """The definition with at most two quick attempts of everything, the first and the last."""
    steps = tuple(
        replace(
            step,
            forward=_bounded(step.forward),
            compensation=step.compensation and _bounded(step.compensation),
        )
        for step in definition.steps
    )
    return replace(definition, steps=steps)


def _bounded(asking: Asking) -> Asking:
    return replace(asking, retry=replace(asking.retry, attempts=min(_TWO, asking.retry.attempts)))


def with_timers(
    state: SagaState, soon: tuple[str, Direction] | None = None, *, deadline: bool = False
) -> SagaState:
    """The state at `NOW`, with one timer, or the deadline, due `SOON`, and all others much later."""
    steps = dict(state.steps)
    for step, direction, line in state.active():
        if line.due is not None:
            due = SOON if soon == (step.name, direction) else _LATER
            steps[step.name] = _with_due(steps[step.name], direction, line, due)
    changes: dict[str, Any] = {"steps": MappingProxyType(steps), "at": NOW}
    if state.deadline_due:
        changes["deadline"] = SOON if deadline else _LATER
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


def likeness(definition: Definition, state: SagaState) -> Hashable:
    """Equal for states from which the same can happen."""
    return (
        state.status,
        state.status is Status.RUNNING and bool(state.cancelled),
        state.deadline_due is not None,
        state.contradictions > 0,
        *(_of_step(state.step(step.name)) for step in definition.steps),
    )


def _of_step(known: StepState) -> Hashable:
    reply = None if known.reply is None else to_json(known.reply)
    if known.skipped:
        return "skipped"
    if known.succeeded:
        forward: Hashable = "done"
    elif known.given_up:
        answer = known.forward.rounds[-1].answer if known.forward.rounds else "never asked"
        forward = (answer, known.happened_late)
    else:
        forward = _of_line(known.forward)
    if known.compensation.succeeded:
        return "undone"
    return forward, reply, known.passed_over, _of_line(known.compensation), _of_line(known.close)


def _of_line(line: Line) -> Hashable:
    if not line.rounds:
        return None
    answer = line.rounds[-1].answer
    return answer, min(line.tries, _TWO), line.in_flight is not None, line.retry is not None, line.parked
