"""Migrate: an instance goes on under a newer version, where that version's author wrote how.

A saga is past what was written where its history could not have come about under the newer version. That is checked
against the record alone; the older version's code need not exist any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.actions.refusing import name
from amends.domain.definition import Asking, Definition, StepDefinition
from amends.domain.errors import ActionRefused, VersionNotHeld
from amends.domain.inputs import Migrate
from amends.domain.migration import Migration
from amends.domain.state import Line, SagaState, Status, StepState
from amends.domain.turn import Turn


def on_migrate(turn: Turn, migrate: Migrate) -> None:
    """Rename the recorded steps as the migration says; from here on the saga is decided by the newer version."""
    state = turn.state
    try:
        definition = turn.definition
    except VersionNotHeld:
        raise VersionNotHeld(state.saga, migrate.to) from None
    migration = _migration(state, definition)
    names = {step: migration.name_of(step) for step in state.steps}
    for problem in _problems(state, definition, migration, names):
        raise ActionRefused(
            f"{name(state)} cannot go from version {state.definition} to {definition.version}: {problem}"
        )
    turn.record(
        e.SagaMigrated,
        definition=definition.version,
        steps={old: new for old, new in names.items() if old != new},
        reason=migrate.reason,
    )


def _migration(state: SagaState, definition: Definition) -> Migration:
    if state.status.final:
        raise ActionRefused(f"expected an unfinished saga to migrate; {name(state)} is {state.status}")
    if state.definition == definition.version:
        raise ActionRefused(f"{name(state)} is of version {definition.version} already")
    known = {each.version: each for each in definition.migrations}
    if state.definition not in known:
        raise ActionRefused(
            f"expected {definition.name}@{definition.version} to say how sagas of version {state.definition} go on "
            f"under it, with migrates=[Migration({state.definition}, ...)]; it does for "
            f"{', '.join(map(str, known)) or 'none'}"
        )
    return known[state.definition]


def _problems(
    state: SagaState, definition: Definition, migration: Migration, names: dict[str, str]
) -> Iterator[str]:
    """Why the recorded steps cannot be those of the newer version."""
    if migration.before and state.step(migration.before).decided | state.step(migration.before).begun:
        yield f"its step {migration.before!r} has begun, and the migration is for sagas before that"
    yield from _of_names(state, definition, names)
    yield from _of_start(state, definition)
    steps = {names[old]: step for old, step in state.steps.items()}
    if state.status is Status.RUNNING:
        yield from _of_order(definition, steps)
    else:
        yield from _of_the_way_back(definition, steps)
    for new, step in steps.items():
        yield from _of_step(definition.step(new), step)


def _of_names(state: SagaState, definition: Definition, names: dict[str, str]) -> Iterator[str]:
    defined = {step.name for step in definition.steps}
    for old, new in names.items():
        if new not in defined:
            yield f"its step {old!r} is not among the steps of that version; name what it becomes in steps="
        if list(names.values()).count(new) > 1:
            yield f"several of its steps become {new!r}"
    # Keys derive from names: a name that stood for another step would bring that one's keys back.
    for old, step in state.steps.items():
        for former in {old, *step.former} - {names[old]}:
            if former in defined:
                yield f"{former!r} names another step there than it did in this saga's history"


def _of_start(state: SagaState, definition: Definition) -> Iterator[str]:
    if state.subject != definition.start.subject:
        yield f"it was started by {state.subject}, and that version starts with {definition.start.subject}"
        return
    try:
        definition.start.model_validate_json(to_json(state.start))
    except ValidationError as error:
        yield f"its start event does not read as a {definition.start.__name__} there: {error.errors()[0]['msg']}"


def _of_step(there: StepDefinition, step: StepState) -> Iterator[str]:
    if (step.wait is None) is not (there.wait is None) and step.begun:
        yield f"step {there.name!r} waits for an event in one version, and asks a service in the other"
    elif (
        step.wait is not None
        and there.wait is not None
        and set(step.wait.subjects) != set(there.wait.subjects)
    ):
        yield f"step {there.name!r} waits for {', '.join(step.wait.subjects)}, and there for other events"
    if step.close.rounds and not step.decided and not there.pivot:
        yield f"step {there.name!r} is being closed, and is not the pivot there"
    yield from _of_line(there.name, step.forward, there.forward)
    yield from _of_line(there.name, step.compensation, there.compensation)


def _of_line(step: str, line: Line, there: Asking | None) -> Iterator[str]:
    """A command keeps its subject, so that its answers can still be read."""
    subjects = {command.subject for command in (there.commands if there else ())}
    for subject in {round_.subject for round_ in line.rounds} - subjects:
        yield f"step {step!r} was asked for on {subject!r}, which is none of its commands there"


def _of_order(definition: Definition, steps: dict[str, StepState]) -> Iterator[str]:
    for new, step in steps.items():
        for before in definition.step(new).after:
            if (step.begun or step.done) and not (before in steps and steps[before].done):
                yield f"step {new!r} has begun, and {before!r}, which comes before it there, is not done"


def _of_the_way_back(definition: Definition, steps: dict[str, StepState]) -> Iterator[str]:
    for new, step in steps.items():
        if new not in definition.graph.before_pivot and step.may_have_happened:
            yield f"it is being undone, and step {new!r}, which may have happened, cannot be undone there"
        later = [each for each in definition.graph.after[new] if each in steps and not steps[each].settled]
        if step.compensation.rounds and later:
            yield f"step {new!r} is being undone, and {later[0]!r}, which comes after it there, is not undone yet"
