"""What refusals have in common."""

from __future__ import annotations

from amends.domain.definition import StepDefinition
from amends.domain.errors import ActionRefused
from amends.domain.state import SagaState
from amends.domain.turn import Turn


def name(state: SagaState) -> str:
    """The saga as an operator knows it: `order 'o-1'`."""
    return f"{state.saga} {state.key!r}"


def step_of(turn: Turn, step: str) -> StepDefinition:
    """The step of this name. Raises `ActionRefused` where the definition has none."""
    steps = {each.name: each for each in turn.definition.steps}
    if step not in steps:
        raise ActionRefused(
            f"expected a step of {turn.definition.name}@{turn.definition.version} ({', '.join(steps)}), got {step!r}"
        )
    return steps[step]


def undecided(turn: Turn, step: str) -> StepDefinition:
    """The step, of which it must still be open what becomes of it. Raises `ActionRefused` where it is not."""
    definition, known = step_of(turn, step), turn.state.step(step)
    if known.given_up:
        raise ActionRefused(f"step {step!r} of {name(turn.state)} was given up: {known.given_up}")
    if known.done:
        raise ActionRefused(
            f"step {step!r} of {name(turn.state)} is {'skipped' if known.skipped else 'done'} already"
        )
    return definition
