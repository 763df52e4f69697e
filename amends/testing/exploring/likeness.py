"""When two states are alike: what of a state decides what can happen next.

Attempts are told apart as the first and the last, and so are the rounds that are declared after a rejection.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import replace
from typing import Final

from pydantic_core import to_json

from amends.domain.definition import Asking, Definition, StepDefinition
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.state import Line, SagaState, Status, StepState

OUTSIDE: Final = "outside/"
"""How the ids of events begin that come to a process manager by themselves."""

_TWO: Final = 2


def bounded(definition: AnyDefinition) -> AnyDefinition:
    """The definition with at most two quick attempts and two rounds of everything, the first and the last.

    How often a process manager asks, its handlers say.
    """
    if not isinstance(definition, Definition):
        return definition
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
    retry = replace(asking.retry, attempts=min(_TWO, asking.retry.attempts))
    return replace(asking, retry=retry, ask_again=asking.ask_again[:1])


def plan_of(definition: AnyDefinition, state: SagaState | None) -> Definition:
    """The steps: those of the definition, or what a process manager's handlers have sent so far."""
    return definition if isinstance(definition, Definition) else definition.plan(state)


def likeness(definition: AnyDefinition, state: SagaState, read: Collection[str] = ()) -> Hashable:
    """Equal for states from which the same can happen; `read` are the steps whose replies a function looks at."""
    plan = plan_of(definition, state)
    return (
        state.status,
        state.status is Status.RUNNING and bool(state.cancelled),
        state.deadline_due is not None,
        state.contradictions > 0,
        tuple((kept.subject, to_json(kept.event)) for kept in state.kept),
        None if plan is definition else _of_handlers(state),
        *(_of_step(plan, step, state.step(step.name), state.status) for step in plan.steps),
        *(_reply(state.step(name)) for name in read),
    )


def _of_handlers(state: SagaState) -> Hashable:
    if state.status is not Status.RUNNING:
        return None  # no handler is called any more
    known = state.handlers
    came = frozenset(identity for identity in known.handled if identity.startswith(OUTSIDE))
    return to_json(known.model), frozenset(known.timeouts), known.completing, came


def _of_step(plan: Definition, step: StepDefinition, known: StepState, status: Status) -> Hashable:
    if known.skipped:
        return "skipped"
    if plan.chain is not None:
        return _of_wait(known)
    if status is not Status.RUNNING and _over(step, known):
        return "over"
    if step.wait is not None:
        return _of_wait(known)
    undoing = _of_line(step.compensation, known.compensation) if step.compensation else None
    closing = _of_line(step.forward, known.close)
    return _forward(step, known), known.passed_over, known.owed, undoing, closing


def _over(step: StepDefinition, known: StepState) -> bool:
    """On the way back nothing is left to do for it, whether it never began, did not happen or is undone."""
    answerable = known.passed_over or step.forward.foreign is not None
    return known.settled and not (answerable and known.forward.open is not None)


def _forward(step: StepDefinition, known: StepState) -> Hashable:
    if known.succeeded:
        return "done"
    if known.compensation.rounds and step.forward.foreign is None:
        return "being undone"  # whatever a keeping service says of it late, that goes on
    if known.given_up:
        answer = known.forward.rounds[-1].answer if known.forward.rounds else "never asked"
        return answer, known.happened_late
    return _of_line(step.forward, known.forward)


def _of_wait(known: StepState) -> Hashable:
    wait = known.wait
    if wait is None or known.decided:
        return known.begun, known.succeeded, bool(known.given_up)
    return "waits", wait.due is not None, bool(wait.parked), wait.again


def _reply(known: StepState) -> bytes | None:
    return None if known.reply is None else to_json(known.reply)


def _of_line(asking: Asking, line: Line) -> Hashable:
    if not line.rounds:
        return None
    return (
        line.rounds[-1].answer,
        min(line.tries, asking.retry.attempts),
        min(len(line.rounds), 1 + len(asking.ask_again)),
        line.in_flight is not None,
        line.retry is not None,
        line.parked,
        bool(line.stopped),
    )
