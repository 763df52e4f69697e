"""Which sagas are simulated: those found in a package, and definitions made up by the dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from inspect import isclass
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final

from amends.domain.choreography.definition import Choreography
from amends.domain.errors import AmendsError
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.handlers.manager import ProcessManager
from amends.domain.saga import Saga
from amends.infrastructure.chance import Dice
from amends.participant import Participant
from amends.testing.simulation.made_up import made_up
from amends.testing.simulation.world import chain_of

RANDOM: Final = "random"
"""The scenario whose definitions are made up."""

_STYLES: Final = (Saga, ProcessManager, Choreography)

_SIDE_BY_SIDE: Final = 0.5
"""How often all versions of a type are there at once."""


class UnknownScenario(AmendsError):
    """There is no scenario of this name."""


@lru_cache
def found(package: str) -> Mapping[str, Sequence[AnyDefinition]]:
    """The definitions in all modules of this package by saga type; some types are there in several variants.

    Raises `ModuleNotFoundError`.
    """
    types: dict[str, list[AnyDefinition]] = {}
    for module in _modules(package):
        for value in vars(module).values():
            if isclass(value) and issubclass(value, _STYLES) and "definition" in vars(value):
                variants = types.setdefault(value.definition.name, [])
                if value.definition not in variants:
                    variants.append(value.definition)
    return {name: types[name] for name in sorted(types) if _can_be_played(types[name][0], package)}


@lru_cache
def _participants(package: str) -> Sequence[Participant[Any]]:
    """The participants in all modules of this package, each once."""
    found = [
        each
        for module in _modules(package)
        for each in vars(module).values()
        if isinstance(each, Participant)
    ]
    return list(dict.fromkeys(found))


def reacting(definition: AnyDefinition, package: str) -> list[Participant[Any]]:
    """The services of a choreography, which are found where it is; none for another definition."""
    chain = chain_of(definition)
    if chain is None:
        return []
    expected = {link.service: link.after[0].subject for link in chain.links}
    return [
        each
        for each in _participants(package)
        if each.name in expected and each.reactions.to(expected[each.name])
    ]


def _can_be_played(definition: AnyDefinition, package: str) -> bool:
    """A choreography needs its services."""
    chain = chain_of(definition)
    return chain is None or {each.name for each in reacting(definition, package)} == {
        link.service for link in chain.links
    }


def _modules(package: str) -> Iterator[ModuleType]:
    top = import_module(package)
    yield top
    for module in walk_packages(getattr(top, "__path__", ()), f"{package}."):
        if not module.name.endswith(".__main__"):  # a program: importing it would run it
            yield import_module(module.name)


def scenarios(package: str) -> list[str]:
    """The names that can be asked for."""
    return [*found(package), RANDOM]


def draw(dice: Dice, package: str, names: Sequence[str]) -> list[AnyDefinition]:
    """One to three saga types out of these scenarios; without names, all there are. Raises `UnknownScenario`."""
    known = scenarios(package)
    for name in names:
        if name not in known:
            raise UnknownScenario(f"expected a scenario out of {', '.join(known)}; got {name!r}")
    chosen = sorted({dice.choice(names or known) for _ in range(dice.randint(1, 3))})
    definitions: list[AnyDefinition] = []
    for name in chosen:
        if name == RANDOM:
            for number in range(dice.randint(1, 2)):
                definitions += made_up(dice, f"random{number}")
        else:
            definitions += _variants(dice, found(package)[name])
    return definitions


def _variants(dice: Dice, known: Sequence[AnyDefinition]) -> list[AnyDefinition]:
    """One of them, or all versions side by side."""
    are_versions = len({each.version for each in known}) == len(known)
    return list(known) if are_versions and dice.random() < _SIDE_BY_SIDE else [dice.choice(known)]
