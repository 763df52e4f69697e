"""Finding sagas, participants and limits in a user's modules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeAlias

from amends.domain.choreography.definition import Choreography
from amends.domain.errors import AmendsError
from amends.domain.handlers.manager import ProcessManager
from amends.domain.limits import Limit
from amends.domain.saga import Saga
from amends.participant import Participant


class NothingFound(AmendsError):
    """A module is not there, or holds nothing that can be run."""


AnySaga: TypeAlias = type[Saga[Any]] | type[ProcessManager[Any]] | type[Choreography]


@dataclass
class Found:
    """What the modules hold."""

    sagas: list[AnySaga] = field(default_factory=list[AnySaga])
    participants: list[Participant[Any]] = field(default_factory=list[Participant[Any]])
    limits: list[Limit] = field(default_factory=list[Limit])


def find(names: Iterable[str]) -> Found:
    """The sagas, participants and limits of `module` or `module:name`. Raises `NothingFound`."""
    found = Found()
    for name in names:
        module_name, _, attribute = name.partition(":")
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and not (module_name == error.name or module_name.startswith(f"{error.name}.")):
                raise
            raise NothingFound(
                f"expected a module {module_name!r} in the working directory or among the installed packages; "
                "there is none"
            ) from None
        if attribute and not hasattr(module, attribute):
            raise NothingFound(f"expected {attribute!r} in module {module_name!r}; it has no such name")
        values = [getattr(module, attribute)] if attribute else list(vars(module).values())
        for value in values:
            if (
                isinstance(value, type)
                and issubclass(value, (Saga, ProcessManager, Choreography))
                and value not in (Saga, ProcessManager, Choreography)
                and value not in found.sagas
            ):
                found.sagas.append(value)
            elif isinstance(value, Participant) and value not in found.participants:
                found.participants.append(value)
            elif isinstance(value, Limit) and value not in found.limits:
                found.limits.append(value)
    return found
