"""Where a step stands, in words: what nobody knows is not claimed."""

from __future__ import annotations

from amends.domain.state import Line, SagaState, Status, StepState

_DOUBT = "in case it happened: nobody knows whether it did"


def where(state: SagaState, name: str) -> str:
    """What became of the step so far, or is being done about it."""
    step = state.step(name)
    known = (
        (step.by_hand, "undone, as an operator says"),
        (step.compensation.succeeded and not step.owed, _undone("undone", step)),
        (step.passed_over, _passed_over(step)),
        (bool(step.compensation.rounds), _undone("being undone", step)),
        (step.skipped, f"skipped{_after_all(step)}"),
        (step.succeeded, "done"),
        (bool(step.given_up), f"given up: {step.given_up}{_after_all(step)}"),
        (bool(step.close.rounds), "asked whether it happened"),
        (bool(step.forward.rounds), _asked(step.forward)),
        (step.waiting, "waiting"),
        (state.status is Status.RUNNING, "still to come"),
    )
    return next((words for holds, words in known if holds), "never asked for")


def _happened(step: StepState) -> bool:
    return step.succeeded or step.happened_late


def _undone(doing: str, step: StepState) -> str:
    return doing if _happened(step) else f"{doing} {_DOUBT}"


def _passed_over(step: StepState) -> str:
    """What is left of a step that has no compensation, or one that asks for nothing."""
    if _happened(step):
        return "done, and not to be undone"
    return "may have happened, and is not to be undone" if step.may_have_happened else "nothing to undo"


def _after_all(step: StepState) -> str:
    """What is known of the effect of a step that is no longer asked for."""
    if step.happened_late:
        return "; it did happen after all"
    return "; it may have happened" if step.may_have_happened else ""


def _asked(line: Line) -> str:
    if line.unsent:
        return "held by limits, not asked for yet"
    if line.open is None:
        return "rejected so far"
    attempts = line.open.attempts
    heard = any(attempt.outcomes for attempt in attempts)
    return "asked for, and may have happened" if heard else "asked for, not answered yet"
