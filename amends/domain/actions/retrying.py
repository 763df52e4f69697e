"""Retry now: the next attempt does not wait for its time."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.actions.refusing import name, step_of
from amends.domain.choreography.chain import Chain
from amends.domain.choreography.observing import ask_again
from amends.domain.errors import ActionRefused
from amends.domain.inputs import Retry
from amends.domain.planning import again
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def on_retry(turn: Turn, retry: Retry) -> None:
    """Send the next attempt, or open the next round, of one step or of all that wait to be tried again.

    A step that is named is asked again even while an answer is awaited; the earlier attempt's answer still counts.
    """
    if turn.state.suspended:
        raise ActionRefused(f"{name(turn.state)} is suspended, so that nothing may be sent; resume it first")
    if turn.chain is not None:
        _ask_again(turn, turn.chain, retry)
        return
    lines = _lines(turn, retry.step)
    if not lines:
        raise ActionRefused(_nothing(turn, retry.step))
    for step, direction in lines:
        turn.record(e.RetryRequested, step=step, direction=direction, reason=retry.reason)
        again(turn, turn.definition.step(step), direction)


def _ask_again(turn: Turn, chain: Chain, retry: Retry) -> None:
    """Nothing is asked of services that are only observed, except that they publish again what they have."""
    waiting = [step.name for step, _ in turn.state.waits() if retry.step in ("", step.name)]
    if not waiting:
        raise ActionRefused(_nothing(turn, retry.step))
    for step in waiting:
        ask_again(turn, chain, step, retry.reason)


def _lines(turn: Turn, step: str) -> list[tuple[str, Direction]]:
    return [
        (known.name, direction)
        for known, direction, line in turn.state.active()
        if line.rounds and not line.held and (known.name == step if step else line.retry is not None)
    ]


def _nothing(turn: Turn, step: str) -> str:
    if step:
        step_of(turn, step)
        if any(known.name == step and line.held for known, _, line in turn.state.active()):
            return (
                f"the command of step {step!r} of {name(turn.state)} is held by the limits of its service, and leaves "
                "as soon as they allow; `amends limits` tells what holds it"
            )
        return f"nothing is asked for step {step!r} of {name(turn.state)} that could be asked again"
    return (
        f"nothing of {name(turn.state)} waits to be tried again; "
        "name a step to ask for it once more while its answer is awaited"
    )
