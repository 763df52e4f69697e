"""Commands that wait for the limits of their service: they are released, or withdrawn when nobody wants them."""

from __future__ import annotations

from collections.abc import Iterator

from amends.domain import events as e
from amends.domain.state import SagaState
from amends.domain.told import Admit
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def on_admit(turn: Turn, admit: Admit) -> None:
    """Let the command leave, if it is still held; its time begins now. It needs no definition."""
    ref = turn.state.find(admit.command_id)
    if ref is None or not ref.attempt.held or turn.state.suspended:
        return
    turn.record(
        e.CommandReleased,
        step=ref.step.name,
        direction=ref.direction,
        round=ref.round.number,
        attempt=ref.attempt.number,
        expires=turn.now + (ref.attempt.expires - ref.attempt.sent),
    )


def withdraw(turn: Turn, *, everything: bool = False) -> None:
    """What is held never leaves, where nothing would follow from it any more, or `everything` is to end."""
    if not turn.state.limited:
        return
    for step, direction in list(_held(turn.state, set() if everything else _wanted(turn.state))):
        last = turn.state.step(step).line(direction).rounds[-1]
        turn.record(
            e.CommandWithdrawn, step=step, direction=direction, round=last.number, attempt=last.last.number
        )


def _wanted(state: SagaState) -> set[tuple[str, Direction]]:
    return {
        (step.name, direction) for step, direction, line in state.active() if line.open and not line.stopped
    }


def _held(state: SagaState, wanted: set[tuple[str, Direction]]) -> Iterator[tuple[str, Direction]]:
    for step in state.steps.values():
        for direction in Direction:
            if step.line(direction).held and (step.name, direction) not in wanted:
                yield step.name, direction
