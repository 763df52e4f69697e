"""What is refused when a definition is made, because it could not be run; each with its mend."""

from __future__ import annotations

from amends.domain.correlation import Correlation
from amends.domain.definition import Definition
from amends.domain.errors import DefinitionError
from amends.domain.graph import Graph
from amends.domain.migration import check_migrations
from amends.domain.waiting import Waiting


def check(definition: Definition) -> None:
    """Refuse what cannot be run. Raises `DefinitionError`, which tells the mend."""
    where = f"saga {definition.name!r}"
    if not definition.steps:
        raise DefinitionError(f"{where}: expected at least one @step, got none")
    _check_order(definition, where)
    _check_pivot(definition, where)
    _check_compensations(definition, where)
    _check_waits(definition, where)
    _check_key(definition, where)
    names = [step.name for step in definition.steps]
    check_migrations(
        f"{where} version {definition.version}", definition.version, names, definition.migrations
    )


def _check_order(definition: Definition, where: str) -> None:
    every = {step.name for step in definition.steps}
    earlier: set[str] = set()
    for step in definition.steps:
        for name in step.after:
            if name not in every:
                raise DefinitionError(
                    f"{where}: step {step.name!r}: expected after= to name steps of this saga "
                    f"({', '.join(s.name for s in definition.steps)}), got {name!r}"
                )
            if name not in earlier:
                raise DefinitionError(
                    f"{where}: step {step.name!r}: expected after= to name steps declared before it, "
                    f"got {name!r}; declare {name!r} first, so that the saga reads from top to bottom"
                )
        earlier.add(step.name)


def _check_pivot(definition: Definition, where: str) -> None:
    pivots = [step.name for step in definition.steps if step.pivot]
    if len(pivots) > 1:
        raise DefinitionError(
            f"{where}: expected at most one pivot, got {', '.join(pivots)}; "
            "keep pivot=True on the step after which there is no way back"
        )
    graph = definition.graph
    for step in definition.steps:
        if not (step.pivot or step.name in graph.before_pivot or step.name in graph.after_pivot):
            raise DefinitionError(
                f"{where}: expected every step to come before or after the pivot {pivots[0]!r}, but "
                f"{step.name!r} runs beside it; name it in after= of the pivot or of a step that leads there, "
                f"or give it an after= that leads back to the pivot"
            )


def _check_compensations(definition: Definition, where: str) -> None:
    for step in definition.steps:
        if step.when_rejected is not None and step.name in definition.graph.after_pivot:
            raise DefinitionError(
                f"{where}: step {step.name!r} comes after the pivot, where it is asked until it is done, so its "
                "rejection never counts; take its when_rejected away"
            )
        if step.compensation is not None and step.name not in definition.graph.before_pivot:
            raise DefinitionError(
                f"{where}: step {step.name!r} is the pivot or comes after it, so it is never compensated; "
                "take its compensation away, or move it before the pivot"
            )


def _check_waits(definition: Definition, where: str) -> None:
    for step in definition.steps:
        if step.wait is not None:
            _check_wait(step.name, step.wait, f"{where}: step {step.name!r}", definition.graph)
    known: dict[str, Correlation] = {}
    answers: set[str] = set()
    for step in definition.steps:
        for each in step.hears:
            subject = each.event.subject
            if subject in answers or (step.wait is None and subject in known):
                raise DefinitionError(
                    f"{where}: expected an event of a foreign service to answer one thing that is asked, and "
                    f"nobody to wait for it besides; {subject!r} could mean several"
                )
            if known.setdefault(subject, each) != each:
                raise DefinitionError(
                    f"{where}: expected every step that waits for {subject!r} to find its saga in the "
                    "same way; give them the same event type, key, missing and patience"
                )
            if step.wait is None:
                answers.add(subject)


def _check_wait(name: str, wait: Waiting, where: str, graph: Graph) -> None:
    if wait.rejection is not None and wait.rejection.event.subject == wait.event.event.subject:
        raise DefinitionError(
            f"{where}: expected rejected_by to be another event than {wait.event.event.__name__}; "
            "where one event says yes or no, use rejected_if"
        )
    if name not in graph.after_pivot:
        if wait.on_timeout is not None:
            raise DefinitionError(
                f"{where} waits before the pivot, where a timeout counts as a rejection; take on_timeout away"
            )
    elif wait.on_timeout is None:
        raise DefinitionError(
            f"{where} waits after the pivot, where the saga cannot turn back; say with on_timeout what silence does: "
            "'skip' the step, or 'park' it for a person"
        )
    elif wait.rejection is not None or wait.rejected_if is not None:
        raise DefinitionError(
            f"{where} waits after the pivot, where the saga cannot turn back, so no event can be a no; take "
            "rejected_by and rejected_if away, and let a later step look at the reply"
        )


def _check_key(definition: Definition, where: str) -> None:
    if not definition.key:
        raise DefinitionError(
            f"{where}: expected key to name at least one field of its start event, got none"
        )
    for name in definition.key:
        if name not in definition.start.model_fields:
            raise DefinitionError(
                f"{where}: expected key to name fields of {definition.start.__name__} "
                f"({', '.join(definition.start.model_fields)}), got {name!r}"
            )
