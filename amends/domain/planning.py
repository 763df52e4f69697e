"""What a saga does next: forwards step by step, or backwards through what it has to make amends for."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.choreography import observing
from amends.domain.definition import StepDefinition
from amends.domain.hearing import heard
from amends.domain.holding import withdraw
from amends.domain.state import Status, StepState
from amends.domain.turn import Turn
from amends.domain.waiting import Silence
from amends.domain.wire import Direction, Outcome


def proceed(turn: Turn) -> None:
    """Plan until the saga waits for an answer or a time, or is over; nothing while it is suspended."""
    withdraw(turn)
    moved = not turn.state.suspended
    while moved:
        moved = _move(turn) if turn.chain is None else observing.follow(turn, turn.chain)
        withdraw(turn)  # a step that turned the saga back leaves others that nobody wants


def _move(turn: Turn) -> bool:
    match turn.state.status:
        case Status.RUNNING:
            return _forwards(turn)
        case Status.COMPENSATING:
            return _backwards(turn)
        case _:
            return False


def undo(turn: Turn, reason: str) -> None:
    """Turn back before the pivot's success: give up the steps in hand, or close the pivot if it is out."""
    if turn.chain is not None:
        observing.turn_back(turn, turn.chain, reason)
        return
    pivot = turn.definition.pivot
    line = turn.state.step(pivot.name).forward if pivot else None
    if pivot and line and line.open and not line.unsent:
        _close(turn, pivot, reason)
        return
    _turn_back(turn, reason, because=reason)


def _close(turn: Turn, pivot: StepDefinition, reason: str) -> None:
    """Have it settled whether the pivot happened. A foreign service knows no close: a person must find out."""
    known = turn.state.step(pivot.name)
    if pivot.forward.foreign is None:
        if not known.close.rounds:
            turn.ask(pivot, Direction.CLOSE)
    elif not known.forward.stopped:
        why = f"{reason}; a foreign service knows no close, so find out whether it happened"
        turn.park(pivot, Direction.FORWARD, why, stops=True)


def give_up(turn: Turn, step: StepDefinition, reason: str) -> None:
    """No further attempt of this step; make amends for those before, and for it where it may have been."""
    turn.record(e.StepGivenUp, step=step.name, reason=reason)
    _turn_back(turn, f"{step.name}: {reason}", because=f"{step.name} was given up")


def _turn_back(turn: Turn, reason: str, because: str) -> None:
    """From here on nothing is asked forward any more: what is in flight is given up too."""
    for step in turn.definition.steps:
        known = turn.state.step(step.name)
        if known.begun and not known.decided:
            turn.record(e.StepGivenUp, step=step.name, reason=because)
    turn.record(e.CompensationStarted, reason=reason)


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
    if _is_stopped(turn, step):
        return
    may_give_up = direction is Direction.FORWARD and step.name not in turn.definition.graph.after_pivot
    used_up = turn.state.step(step.name).line(direction).tries >= step.forward.retry.attempts
    if not may_give_up or hopeless or not used_up:
        turn.retry(step, direction, reason, after=after, hopeless=hopeless)
    elif step.pivot:
        _close(turn, step, f"retries used up, the last with: {reason}")
    else:
        give_up(turn, step, f"retries used up, the last with: {reason}")


def _is_stopped(turn: Turn, step: StepDefinition) -> bool:
    """It is a foreign pivot that a person must settle, because the saga is to turn back."""
    return (
        step.pivot and step.forward.foreign is not None and bool(turn.state.step(step.name).forward.stopped)
    )


def attempt_rejected(
    turn: Turn, step: StepDefinition, direction: Direction, reason: str, *, after: float | None
) -> None:
    """A definite no closed the round: ask again in a new round where that is declared, else give the step up.

    Where a step cannot be given up it is asked again in any case, later.
    """
    why = f"rejected: {reason or 'no reason given'}"
    known = turn.state.step(step.name)
    asked = direction is Direction.FORWARD and not known.close.rounds and not _is_stopped(turn, step)
    delays = step.forward.ask_again[len(known.forward.rounds) - 1 :] if asked else ()
    if delays:
        turn.ask_anew(step, direction, delays[0])
    elif direction is Direction.COMPENSATE or step.name in turn.definition.graph.after_pivot:
        turn.retry(step, direction, why, after=after)
    elif step.tolerated:
        turn.record(e.StepGivenUp, step=step.name, reason=why)
    else:
        _tell_rejection(turn, step, asked=asked)
        give_up(turn, step, why)


def _tell_rejection(turn: Turn, step: StepDefinition, *, asked: bool = True) -> None:
    """Publish what the definition has to say of it; not of a pivot that was only closed."""
    if step.when_rejected is not None and asked:
        turn.announce(step.name, step.when_rejected)


def wait_over(turn: Turn, step: StepDefinition) -> None:
    """Nothing came in time: that is a no before the pivot, and after it what the definition says."""
    if turn.chain is not None:
        observing.overdue(turn, turn.chain, step.name)
        return
    turn.record(e.WaitTimedOut, step=step.name)
    on_timeout = step.wait.on_timeout if step.wait else None
    if on_timeout is Silence.SKIP:
        turn.record(e.StepSkipped, step=step.name)
    elif on_timeout is Silence.PARK:
        turn.record(e.WaitParked, step=step.name, reason="nothing came in time")
    else:
        _tell_rejection(turn, step)
        give_up(turn, step, "nothing came in time")


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


def deadline_passed(turn: Turn) -> None:
    """The whole took too long: turn back, where there is a way back. The links of a chain are overdue by themselves."""
    turn.record(e.DeadlinePassed)
    if turn.chain is None and not pivot_passed(turn):
        undo(turn, "the deadline passed")


def pivot_passed(turn: Turn) -> bool:
    """There is no way back."""
    pivot = turn.definition.pivot
    return pivot is not None and turn.state.step(pivot.name).done


def _forwards(turn: Turn) -> bool:
    """Ask every step whose predecessors are done."""
    steps = turn.definition.steps
    done = {name for name, known in turn.state.steps.items() if known.done}
    if turn.manager is not None:
        done |= {step.name for step in steps if step.tolerated and _refused(turn.state.step(step.name))}
    if done.issuperset(turn.definition.names):
        if not turn.definition.goes_on:
            turn.record(e.SagaCompleted)
        return False
    ready = [s for s in steps if s.name not in done and done.issuperset(s.after)]
    # Waits first: where one hears a no that came early, the others need not be asked.
    for step in ready:
        if step.wait is not None and _wait(turn, step):
            return True
    moved = False
    for step in ready:
        if step.wait is None and not turn.state.step(step.name).begun:
            moved |= not _ask(turn, step)
    return moved


def _ask(turn: Turn, step: StepDefinition) -> bool:
    """Ask for what the step does. False where nobody is waited for."""
    if step.announces is None and turn.ask(step, Direction.FORWARD):
        return True
    told = step.announces is not None and turn.announce(step.name, step.announces)
    turn.record(e.StepAnnounced if told else e.StepSkipped, step=step.name)
    return False


def _wait(turn: Turn, step: StepDefinition) -> bool:
    """Wait, or go on waiting. True where an event that has come ends it."""
    if not turn.state.step(step.name).begun:
        turn.wait(step)
    found = heard(turn, step.name)
    if found is None:
        return False
    kept, meaning = found
    if meaning is Outcome.SUCCEEDED:
        turn.record(e.WaitSucceeded, step=step.name, message_id=kept.message_id)
    else:
        turn.record(e.WaitRejected, step=step.name, message_id=kept.message_id)
        _tell_rejection(turn, step)
        give_up(turn, step, f"{kept.subject} says no")
    return True


def _refused(step: StepState) -> bool:
    """It was given up because it was rejected."""
    return step.rejected and bool(step.given_up)


def _backwards(turn: Turn) -> bool:
    """Compensate every step after which all is settled. What is stuck holds up only what came before it."""
    graph = turn.definition.graph
    left = {name for name in graph.before_pivot if not turn.state.step(name).settled}
    if not left:
        by_hand = tuple(step.name for step in turn.definition.steps if turn.state.step(step.name).by_hand)
        turn.record(e.SagaCompensated, by_hand=by_hand)
        return False
    passed_over = False
    for step in reversed(turn.definition.steps):
        if step.name in left and left.isdisjoint(graph.after[step.name]):
            passed_over |= _compensate(turn, step)
    return passed_over


def _compensate(turn: Turn, step: StepDefinition) -> bool:
    """Ask for what undoes the step, unless that is out already. True where there was nothing to ask for."""
    line = turn.state.step(step.name).compensation
    if line.open or line.retry:
        return False
    if step.compensation is None:
        reason = "no compensation is defined"
    elif not turn.ask(step, Direction.COMPENSATE):
        reason = "there is nothing to compensate"
    else:
        return False
    turn.record(e.CompensationPassedOver, step=step.name, reason=reason)
    return True
