"""Definitions made up by the dice: steps in any order, with everything that a step can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from amends.domain.checking import check
from amends.domain.correlation import Correlation
from amends.domain.definition import ASKS_NOBODY, Asking, Definition, StepDefinition, listened
from amends.domain.foreign import Foreign, foreign_answers
from amends.domain.messages import Command, Event
from amends.domain.migration import Migration
from amends.domain.policy import Retry
from amends.domain.waiting import Silence, Waiting
from amends.infrastructure.chance import Dice

_SELDOM: Final = 0.1
_OFTEN: Final = 0.4
_SECOND: Final = timedelta(seconds=1)


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


@dataclass(frozen=True)
class Abroad:
    """What is said to a foreign service, and by it. Its events name the saga by its key, and nothing else."""

    book: type[Command[Any]]
    free: type[Command[Any]]
    answers: Foreign


def _abroad(service: str) -> Abroad:
    class Booked(Event, subject=f"{service}.booked"):
        key: str

    class Refused(Event, subject=f"{service}.refused"):
        key: str

    class Broke(Event, subject=f"{service}.broke"):
        key: str

    class Freed(Event, subject=f"{service}.freed"):
        key: str

    class Book(Command[Booked], subject=f"{service}.book"):
        key: str

    class Free(Command[Freed], subject=f"{service}.free"):
        key: str

    return Abroad(Book, Free, Foreign(key="key", rejected=[Refused], failed=[Broke]))


_ABROAD: Final[Mapping[str, Abroad]] = {name: _abroad(f"abroad-{name}") for name in ("random0", "random1")}
"""For each made-up type a service of its own: an event of one that two could hear would mean two things."""


def made_up(dice: Dice, name: str) -> list[Definition]:
    """A definition of one to six steps in any order, the pivot anywhere or nowhere; often a second version of it."""
    count = dice.randint(1, 6)
    pivot = dice.randint(0, count)
    abroad = dice.choice((None, *range(count)))
    steps = tuple(
        _step(
            dice,
            f"s{at}",
            _after(dice, at, pivot),
            pivot=at == pivot,
            compensable=at < pivot,
            abroad=_ABROAD.get(name) if at == abroad else None,
        )
        for at in range(count)
    )
    deadline = dice.choice((None, _SECOND * 15, _SECOND * 60, _SECOND * 3600))
    first = Definition(name, 1, ("key",), Began, deadline, steps, _view, listened(steps))
    versions = [first, _next_version(dice, first)] if dice.random() < _OFTEN else [first]
    for each in versions:
        check(each)
    return versions


def _view(state: Any) -> SimpleNamespace:
    return SimpleNamespace(key=state.key)


def _next_version(dice: Dice, first: Definition) -> Definition:
    """Version 2, to which sagas of version 1 can be moved: a step has another name, and often there is one more."""
    old = dice.choice(first.steps).name
    names = {each.name: each.name for each in first.steps} | {old: f"{old}-anew"}
    steps = [
        replace(each, name=names[each.name], after=tuple(names[before] for before in each.after))
        for each in first.steps
    ]
    if dice.random() < _OFTEN:
        after = tuple(each.name for each in steps)
        steps.append(_step(dice, "more", after, pivot=False, compensable=first.pivot is None, abroad=None))
    return replace(
        first,
        version=2,
        steps=tuple(steps),
        listens=listened(steps),
        migrations=(Migration(1, {old: names[old]}),),
    )


def _step(
    dice: Dice, name: str, after: tuple[str, ...], *, pivot: bool, compensable: bool, abroad: Abroad | None
) -> StepDefinition:
    if abroad is not None:
        return _foreign(dice, name, after, abroad, pivot=pivot, compensable=compensable)
    if not pivot and dice.random() < _SELDOM:
        return _waiting(dice, name, after, before_pivot=compensable)
    seldom = dice.random() < _SELDOM, dice.random() < _SELDOM, dice.random() < _SELDOM
    forward = _asking(dice, lambda _: None if seldom[0] else Do(step=name), Do)
    undo = _asking(dice, lambda _: None if seldom[1] else Undo(step=name), Undo)
    compensation = undo if compensable and not seldom[2] else None
    return StepDefinition(name, _asked_again(dice, forward), compensation, pivot, after)


def _foreign(
    dice: Dice, name: str, after: tuple[str, ...], abroad: Abroad, *, pivot: bool, compensable: bool
) -> StepDefinition:
    book = _asking(dice, lambda view: abroad.book(key=view.key), abroad.book)
    free = _asking(dice, lambda view: abroad.free(key=view.key), abroad.free)
    forward = replace(book, foreign=foreign_answers(name, abroad.answers, [abroad.book]))
    undo = replace(free, foreign=foreign_answers(name, Foreign(key="key"), [abroad.free]))
    return StepDefinition(name, _asked_again(dice, forward), undo if compensable else None, pivot, after)


def _asked_again(dice: Dice, asking: Asking) -> Asking:
    """Often with declared rounds after a rejection."""
    return replace(asking, ask_again=dice.choice(((), (), (_SECOND * 5,), (_SECOND * 5, _SECOND * 20))))


def _waiting(dice: Dice, name: str, after: tuple[str, ...], *, before_pivot: bool) -> StepDefinition:
    wait = Waiting(
        event=Correlation(Agreed, ("key",)),
        timeout=dice.choice((_SECOND * 10, _SECOND * 120)),
        rejection=dice.choice((None, Correlation(Declined, ("key",)))) if before_pivot else None,
        on_timeout=None if before_pivot else dice.choice((Silence.SKIP, Silence.PARK)),
    )
    return StepDefinition(name, ASKS_NOBODY, None, pivot=False, after=after, wait=wait)


def _asking(dice: Dice, build: Callable[[Any], Command[Any] | None], kind: type[Command[Any]]) -> Asking:
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
