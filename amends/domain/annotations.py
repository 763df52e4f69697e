"""What a function's annotation says that it returns: the commands or events that it may build."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from amends.domain.errors import DefinitionError
from amends.domain.messages import Command, Event, Message

M = TypeVar("M", bound=Message)


def returned_commands(
    saga: str, build: Callable[..., Any], known: dict[str, Any]
) -> tuple[type[Command[Any]], ...]:
    """The command types that the function returns; `known` are names that its annotation may use.

    Raises `DefinitionError` for anything else, and for two commands of one subject.
    """
    kinds = _returned(saga, build, known, cast("type[Command[Any]]", Command), "a Command")
    if len({kind.subject for kind in kinds}) < len(kinds):
        raise DefinitionError(
            f"{_where(saga, build)}: expected commands of different subjects, "
            f"got {', '.join(kind.__name__ for kind in kinds)}; the subject tells which of them was answered"
        )
    return kinds


def returned_events(saga: str, build: Callable[..., Any], known: dict[str, Any]) -> tuple[type[Event], ...]:
    """The event types that the function returns, as with commands. Raises `DefinitionError`."""
    return _returned(saga, build, known, Event, "an Event")


def _returned(
    saga: str, build: Callable[..., Any], known: dict[str, Any], base: type[M], called: str
) -> tuple[type[M], ...]:
    where = _where(saga, build)
    try:
        returned = get_type_hints(build, localns=known).get("return")
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise DefinitionError(f"{where}: its annotations cannot be read: {error}") from None
    union = get_origin(returned) in (Union, types.UnionType)
    named = [kind for kind in (get_args(returned) if union else (returned,)) if kind is not type(None)]
    if not named:
        raise DefinitionError(f"{where}: expected its return annotation to name {called}, got None")
    for kind in named:
        if not _is_message(kind, base):
            raise DefinitionError(
                f"{where}: expected its return annotation to be {called} with a subject (or one and None), "
                f"got {getattr(kind, '__name__', kind)!r}"
            )
    return cast("tuple[type[M], ...]", tuple(named))


def _is_message(kind: object, base: type[Message]) -> bool:
    return isinstance(kind, type) and issubclass(kind, base) and bool(kind.subject)


def _where(saga: str, build: Callable[..., Any]) -> str:
    return f"saga {saga!r}, function {build.__name__!r}"
