"""Which sagas are simulated: those found in a package, and definitions made up by the dice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from inspect import isclass
from pkgutil import walk_packages
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from amends.domain.checking import check
from amends.domain.correlation import Correlation
from amends.domain.definition import ASKS_NOBODY, Asking, Definition, StepDefinition, listened
from amends.domain.errors import AmendsError
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.handlers.manager import ProcessManager
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from amends.domain.saga import Saga
from amends.domain.waiting import Silence, Waiting
from amends.infrastructure.chance import Dice

RANDOM: Final = "random"
"""The scenario whose definitions are made up."""

_SELDOM: Final = 0.1
_SECOND: Final = timedelta(seconds=1)


class UnknownScenario(AmendsError):
    """There is no scenario of this name."""


class Began(Event, subject="random.began"):
    """Starts a made-up saga."""

    key: str


class Agreed(Event, subject="random.agreed"):
    """What a made-up saga may wait for."""

    key: str


class Declined(Event, subject="random.declined"):
    """What may come instead."""

    key: str


class Did(Event, subject="service.did"):
    """A step was done."""

    what: str


class Undid(Event, subject="service.undid"):
    """A step was undone."""

    what: str


class Do(Command[Did], subject="service.do"):
    """Asks for a step."""

    step: str


class Undo(Command[Undid], subject="service.undo"):
    """Asks for the undoing of a step."""

    step: str


@lru_cache
def found(package: str) -> Mapping[str, Sequence[AnyDefinition]]:
    """The definitions in all modules of this package by saga type; some types are there in several variants.

    Raises `ModuleNotFoundError`.
    """
    types: dict[str, list[AnyDefinition]] = {}
    for module in _modules(package):
        for value in vars(module).values():
            if isclass(value) and issubclass(value, (Saga, ProcessManager)) and "definition" in vars(value):
                variants = types.setdefault(value.definition.name, [])
                if value.definition not in variants:
                    variants.append(value.definition)
    return {name: types[name] for name in sorted(types)}


def _modules(package: str) -> Iterator[ModuleType]:
    top = import_module(package)
    yield top
    for module in walk_packages(getattr(top, "__path__", ()), f"{package}."):
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
            definitions += [made_up(dice, f"random{number}") for number in range(dice.randint(1, 2))]
        else:
            definitions.append(dice.choice(found(package)[name]))
    return definitions


def made_up(dice: Dice, name: str) -> Definition:
    """A definition of one to six steps in any order, the pivot anywhere or nowhere."""
    count = dice.randint(1, 6)
    pivot = dice.randint(0, count)
    steps = tuple(
        _step(dice, f"s{at}", _after(dice, at, pivot), pivot=at == pivot, compensable=at < pivot)
        for at in range(count)
    )
    deadline = dice.choice((None, _SECOND * 15, _SECOND * 60, _SECOND * 3600))
    listens = listened(steps)
    definition = Definition(name, 1, ("key",), Began, deadline, steps, lambda _: SimpleNamespace(), listens)
    check(definition)
    return definition


def _step(dice: Dice, name: str, after: tuple[str, ...], *, pivot: bool, compensable: bool) -> StepDefinition:
    if not pivot and dice.random() < _SELDOM:
        return _waiting(dice, name, after, before_pivot=compensable)
    seldom = dice.random() < _SELDOM, dice.random() < _SELDOM, dice.random() < _SELDOM
    forward = _asking(dice, None if seldom[0] else Do(step=name), Do)
    undo = _asking(dice, None if seldom[1] else Undo(step=name), Undo)
    compensation = undo if compensable and not seldom[2] else None
    return StepDefinition(name, forward, compensation, pivot, after)


def _waiting(dice: Dice, name: str, after: tuple[str, ...], *, before_pivot: bool) -> StepDefinition:
    wait = Waiting(
        event=Correlation(Agreed, ("key",)),
        timeout=dice.choice((_SECOND * 10, _SECOND * 120)),
        rejection=dice.choice((None, Correlation(Declined, ("key",)))) if before_pivot else None,
        on_timeout=None if before_pivot else dice.choice((Silence.SKIP, Silence.PARK)),
    )
    return StepDefinition(name, ASKS_NOBODY, None, pivot=False, after=after, wait=wait)


def _asking(dice: Dice, command: Command[Any] | None, kind: type[Command[Any]]) -> Asking:
    build: Callable[[Any], Command[Any] | None] = lambda _: command  # noqa: E731 - a constant function
    retry = Retry(
        attempts=dice.randint(1, 4),
        delay=dice.choice((_SECOND * 0, _SECOND, _SECOND * 5)),
        factor=dice.choice((1.0, 2.0)),
        cap=_SECOND * 8,
        slow=dice.choice((_SECOND * 20, _SECOND * 60)),
    )
    return Asking(build, (kind,), dice.choice((_SECOND * 3, _SECOND * 10, _SECOND * 30)), retry)


def _after(dice: Dice, at: int, pivot: int) -> tuple[str, ...]:
    """Any of the steps before; the pivot comes after all of them, and every later step after the pivot."""
    if at == pivot:
        return tuple(f"s{before}" for before in range(at))
    first = pivot if at > pivot else 0
    before = range(first, at)
    any_of_them = {each for each in before if dice.choice((True, False))}
    chosen = dice.choice((any_of_them, set(before[-1:])))
    return tuple(f"s{each}" for each in sorted(chosen | ({pivot} if at > pivot else set())))
