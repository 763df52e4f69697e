"""What a saga does next: forwards step by step, or backwards through what it has to make amends for."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.definition import StepDefinition
from amends.domain.state import Status
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def proceed(turn: Turn) -> None:
    """Plan until the saga waits for an answer or a time, or is over."""
    moved = True
    while moved:
        match turn.state.status:
            case Status.RUNNING:
                moved = _forwards(turn)
            case Status.COMPENSATING:
                moved = _backwards(turn)
            case _:
                moved = False


def undo(turn: Turn, reason: str) -> None:
    """Turn back before the pivot's success: give up the step in hand, or close the pivot if it is out."""
    step = _in_hand(turn)
    if step is not None and turn.state.step(step.name).forward.rounds:
        if step.pivot:
            if not turn.state.step(step.name).close.rounds:
                turn.ask(step, Direction.CLOSE)
            return
        turn.record(e.StepGivenUp, step=step.name, reason=reason)
    turn.record(e.CompensationStarted, reason=reason)


def give_up(turn: Turn, step: StepDefinition, reason: str) -> None:
    """No further attempt of this step; make amends for those before, and for it where it may have been."""
    turn.record(e.StepGivenUp, step=step.name, reason=reason)
    turn.record(e.CompensationStarted, reason=f"{step.name}: {reason}")


def attempt_failed(
    turn: Turn,
    step: StepDefinition,
    direction: Direction,
    reason: str,
    *,
    after: float | None,
    hopeless: bool = False,
) -> None:
    """An attempt brought no definite answer: try again, give the step up, or close the pivot.

    `after` is how many seconds the service asked for; `hopeless` says that trying soon cannot help, so that a
    person must look.
    """
    position = turn.definition.position(step.name)
    may_give_up = direction is Direction.FORWARD and position <= turn.definition.pivot
    used_up = turn.state.step(step.name).line(direction).tries >= step.forward.retry.attempts
    if not may_give_up or hopeless or not used_up:
        turn.retry(step, direction, reason, after=after, hopeless=hopeless)
    elif step.pivot:
        turn.ask(step, Direction.CLOSE)
    else:
        give_up(turn, step, f"retries used up, the last with: {reason}")


def again(turn: Turn, step: StepDefinition, direction: Direction) -> None:
    """The retry delay is over: send the next attempt, or open the next round."""
    if turn.ask(step, direction):
        return
    if direction is Direction.COMPENSATE:
        turn.record(
            e.CompensationPassedOver, step=step.name, reason="there is nothing to compensate any more"
        )
    else:
        turn.record(e.StepSkipped, step=step.name)


def pivot_passed(turn: Turn) -> bool:
    """There is no way back."""
    pivot = turn.definition.pivot
    steps = turn.definition.steps
    return pivot < len(steps) and turn.state.step(steps[pivot].name).done


def _in_hand(turn: Turn) -> StepDefinition | None:
    return next((step for step in turn.definition.steps if not turn.state.step(step.name).done), None)


def _forwards(turn: Turn) -> bool:
    step = _in_hand(turn)
    if step is None:
        turn.record(e.SagaCompleted)
        return False
    if turn.state.step(step.name).forward.rounds:
        return False
    if not turn.ask(step, Direction.FORWARD):
        turn.record(e.StepSkipped, step=step.name)
    return True


def _backwards(turn: Turn) -> bool:
    before_pivot = turn.definition.steps[: turn.definition.pivot]
    step = next((s for s in reversed(before_pivot) if not turn.state.step(s.name).settled), None)
    if step is None:
        turn.record(e.SagaCompensated)
        return False
    line = turn.state.step(step.name).compensation
    if line.open or line.retry:
        return False
    if step.compensation is None:
        turn.record(e.CompensationPassedOver, step=step.name, reason="no compensation is defined")
    elif not turn.ask(step, Direction.COMPENSATE):
        turn.record(e.CompensationPassedOver, step=step.name, reason="there is nothing to compensate")
    return True
