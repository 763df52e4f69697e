"""What is refused when a process manager is defined, because it could not be run; each with its mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from amends.domain.errors import DefinitionError
from amends.domain.handlers.definition import ManagerDefinition, subject_of_success
from amends.domain.messages import Command, Event


def check(
    definition: ManagerDefinition, sends: Sequence[type[Command[Any]]], publishes: Sequence[type[Event]]
) -> None:
    """Refuse what cannot be run. Raises `DefinitionError`, which tells the mend."""
    where = f"process manager {definition.name!r}"
    if not definition.starts:
        raise DefinitionError(f"{where}: expected a handler with @starts(Event, key=...), got none")
    for each in definition.starts:
        if not each.key:
            raise DefinitionError(
                f"{where}: expected key= of @starts({each.event.__name__}) to name the fields that hold its key"
            )
    _check_messages(where, "sends", sends)
    _check_messages(where, "publishes", publishes)
    _check_rejections(definition, where)
    _check_types(definition, where)
    _check_state(definition, where)


def _check_messages(where: str, option: str, kinds: Sequence[type[Any]]) -> None:
    seen: set[str] = set()
    for kind in kinds:
        if not kind.subject:
            raise DefinitionError(
                f"{where}: expected {option}= to hold messages with a subject, got {kind.__name__}"
            )
        if kind.subject in seen:
            raise DefinitionError(
                f"{where}: expected {option}= to hold messages of different subjects, got two on {kind.subject!r}"
            )
        seen.add(kind.subject)


def _check_rejections(definition: ManagerDefinition, where: str) -> None:
    for subject in definition.on_rejected:
        if subject not in definition.sends:
            raise DefinitionError(
                f"{where}: expected @on_rejected of a command that it may send, got the one on {subject!r}; "
                "name it in sends="
            )


def _check_types(definition: ManagerDefinition, where: str) -> None:
    """One subject has one type, whether it comes as an answer or as an event."""
    answers = {subject_of_success(each): each.reply_type() for each in definition.sends.values()}
    for each in (*definition.starts, *definition.listens):
        answer = answers.get(each.event.subject, each.event)
        if answer is not each.event:
            raise DefinitionError(
                f"{where}: expected one type for {each.event.subject!r}, got {each.event.__name__} as an event and "
                f"{answer.__name__} as an answer"
            )


def _check_state(definition: ManagerDefinition, where: str) -> None:
    try:
        definition.state()
    except ValidationError as error:
        missing = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
        raise DefinitionError(
            f"{where}: expected every field of {definition.state.__name__} to have a default, because a saga begins "
            f"with it empty; {missing} has none"
        ) from None
