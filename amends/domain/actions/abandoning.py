"""Abandon: the saga ends as failed, and says what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

from amends.domain import events as e
from amends.domain.actions.refusing import name
from amends.domain.choreography import observing
from amends.domain.errors import ActionRefused
from amends.domain.holding import withdraw
from amends.domain.inputs import Abandon
from amends.domain.state import SagaState, StepState
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def on_abandon(turn: Turn, abandon: Abandon) -> None:
    """End it. It needs no definition, so that a saga can be ended whose code is nowhere.

    What is held is withdrawn: nothing of it happened.
    """
    state = turn.state
    if state.status.final:
        raise ActionRefused(f"expected an unfinished saga to abandon; {name(state)} is {state.status}")
    withdraw(turn, everything=True)
    state = turn.state
    turn.record(
        e.SagaFailed,
        reason=abandon.reason,
        effects=tuple(_effects(state) if turn.chain is None else observing.effects(state, turn.chain)),
        unresolved=tuple(_unresolved(state)),
    )


def _effects(state: SagaState) -> Iterator[str]:
    """The steps that took effect and are not undone."""
    for step in state.steps.values():
        happened = bool(step.forward.rounds) and (step.succeeded or step.happened_late)
        if happened and not _undone(step):
            yield step.name


def _unresolved(state: SagaState) -> Iterator[e.UnresolvedKey]:
    """The keys that no definite answer was given for."""
    for step in state.steps.values():
        if _undone(step):
            continue
        for direction in (Direction.FORWARD, Direction.COMPENSATE):
            round_ = step.line(direction).open
            if round_ is not None and not step.line(direction).unsent:
                yield e.UnresolvedKey(step=step.name, direction=direction, key=round_.key)


def _undone(step: StepState) -> bool:
    return step.compensation.succeeded or step.by_hand
