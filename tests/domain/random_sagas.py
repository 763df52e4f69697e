"""Random definitions, for hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from amends.domain.announcing import Announcing
from amends.domain.checking import check
from amends.domain.correlation import Correlation
from amends.domain.definition import ASKS_NOBODY, Asking, Definition, StepDefinition
from amends.domain.foreign import ForeignAnswers
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from amends.domain.waiting import Silence, Waiting
from amends.testing.simulation.made_up import Do, Undo
from tests.domain.driver import SECOND, Placed


class Told(Event, subject="service.told"):
    """What a waiting step hears, and what a step that publishes tells."""

    step: str
    yes: bool = True


BODY = b'{"what":"it"}'


class Spec(NamedTuple):
    """One step: what it is, whether it is skipped, and how it is compensated: not, by a command, or by a function
    that builds none. A foreign service answers as others do here, and is not trusted.
    """

    kind: str
    skipped: bool
    compensation: str
    retry: Retry
    timeout: timedelta
    ask_again: tuple[timedelta, ...]
    foreign: bool


HEARS = Correlation(Told)

_RETRIES = st.builds(
    Retry,
    attempts=st.integers(1, 4),
    delay=st.sampled_from([SECOND * 0, SECOND, SECOND * 5]),
    factor=st.sampled_from([1.0, 2.0]),
    cap=st.just(SECOND * 8),
    slow=st.sampled_from([SECOND * 20, SECOND * 60]),
)
_SPECS = st.builds(
    Spec,
    kind=st.sampled_from(["command"] * 5 + ["wait", "publish"]),
    skipped=st.sampled_from([False] * 7 + [True]),
    compensation=st.sampled_from(["command"] * 5 + ["none", "nothing"]),
    retry=_RETRIES,
    timeout=st.sampled_from([SECOND * 3, SECOND * 10]),
    ask_again=st.sampled_from([(), (), (SECOND * 7,), (SECOND, SECOND * 30)]),
    foreign=st.sampled_from([False, False, False, True]),
)
_NOT_TRUSTED = ForeignAnswers(())


def _building(command: Command[Any] | None) -> Callable[[Any], Command[Any] | None]:
    return lambda _: command


def _step(name: str, spec: Spec, after: tuple[str, ...], *, pivot: bool, compensable: bool) -> StepDefinition:
    if spec.kind == "wait" and not pivot:
        wait = _waiting(name, spec, after_pivot=not compensable)
        return StepDefinition(name, ASKS_NOBODY, None, pivot, after, wait=wait)
    if spec.kind == "publish":
        tells = Announcing(lambda _: None if spec.skipped else Told(step=name), (Told,))
        return StepDefinition(name, ASKS_NOBODY, None, pivot, after, announces=tells)
    forward = Asking(
        _building(None if spec.skipped else Do(step=name)),
        (Do,),
        spec.timeout,
        spec.retry,
        spec.ask_again,
        _NOT_TRUSTED if spec.foreign else None,
    )
    undo = _building(Undo(step=name) if spec.compensation == "command" else None)
    compensation = Asking(undo, (Undo,), spec.timeout, spec.retry)
    return StepDefinition(
        name, forward, compensation if compensable and spec.compensation != "none" else None, pivot, after
    )


def _waiting(name: str, spec: Spec, *, after_pivot: bool) -> Waiting:
    silence = (Silence.SKIP if spec.skipped else Silence.PARK) if after_pivot else None
    return Waiting(
        HEARS,
        spec.timeout,
        where=lambda _, told: bool(told.step == name),
        rejected_if=None if after_pivot else lambda told: not told.yes,
        on_timeout=silence,
    )


def _after(draw: st.DrawFn, at: int, pivot: int) -> tuple[str, ...]:
    """Any of the steps before; the pivot after every one, and every later step after the pivot."""
    if at == pivot:
        return tuple(f"s{i}" for i in range(at))
    first = pivot if at > pivot else 0
    chosen = draw(st.one_of(st.just({at - 1}), st.sets(st.integers(first, max(first, at - 1)))))
    chosen = {i for i in chosen if first <= i < at} | ({pivot} if at > pivot else set())
    return tuple(f"s{i}" for i in sorted(chosen))


@st.composite
def definitions(draw: st.DrawFn, *, foreign: bool | None = None) -> Definition:
    """1 to 6 steps in any order, the pivot anywhere or nowhere, with and without a deadline.

    With `foreign` given, all of the services are foreign, or none is.
    """
    specs = draw(st.lists(_SPECS, min_size=draw(st.sampled_from([1, 2, 3, 4])), max_size=6))
    pivot = draw(st.integers(0, len(specs)))
    deadline = draw(st.sampled_from([None, SECOND * 15, SECOND * 60]))
    if foreign is not None:
        specs = [spec._replace(foreign=foreign) for spec in specs]
    steps = tuple(
        _step(f"s{i}", spec, _after(draw, i, pivot), pivot=i == pivot, compensable=i < pivot)
        for i, spec in enumerate(specs)
    )
    definition = Definition("random", 1, ("order_id",), Placed, deadline, steps, view=lambda state: state)
    definition = replace(definition, listens=(HEARS,))
    check(definition)
    return definition
