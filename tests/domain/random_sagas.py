"""Random definitions, for hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from amends.domain.checking import check
from amends.domain.definition import Asking, Definition, StepDefinition
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from tests.domain.driver import SECOND, Placed


class Did(Event, subject="service.did"):
    what: str


class Undid(Event, subject="service.undid"):
    what: str


class Do(Command[Did], subject="service.do"):
    step: str


class Undo(Command[Undid], subject="service.undo"):
    step: str


BODY = b'{"what":"it"}'


class Spec(NamedTuple):
    """One step: skipped, and how it is compensated: not, by a command, or by a function that builds none."""

    skipped: bool
    compensation: str
    retry: Retry
    timeout: timedelta


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
    skipped=st.sampled_from([False] * 7 + [True]),
    compensation=st.sampled_from(["command"] * 5 + ["none", "nothing"]),
    retry=_RETRIES,
    timeout=st.sampled_from([SECOND * 3, SECOND * 10]),
)


def _building(command: Command[Any] | None) -> Callable[[Any], Command[Any] | None]:
    return lambda _: command


def _step(name: str, spec: Spec, after: tuple[str, ...], *, pivot: bool, compensable: bool) -> StepDefinition:
    forward = Asking(_building(None if spec.skipped else Do(step=name)), (Do,), spec.timeout, spec.retry)
    undo = _building(Undo(step=name) if spec.compensation == "command" else None)
    compensation = Asking(undo, (Undo,), spec.timeout, spec.retry)
    return StepDefinition(
        name, forward, compensation if compensable and spec.compensation != "none" else None, pivot, after
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
def definitions(draw: st.DrawFn) -> Definition:
    """1 to 6 steps in any order, the pivot anywhere or nowhere, with and without a deadline."""
    specs = draw(st.lists(_SPECS, min_size=draw(st.sampled_from([1, 2, 3, 4])), max_size=6))
    pivot = draw(st.integers(0, len(specs)))
    deadline = draw(st.sampled_from([None, SECOND * 15, SECOND * 60]))
    steps = tuple(
        _step(f"s{i}", spec, _after(draw, i, pivot), pivot=i == pivot, compensable=i < pivot)
        for i, spec in enumerate(specs)
    )
    definition = Definition("random", 1, ("order_id",), Placed, deadline, steps, view=lambda state: state)
    check(definition)
    return definition
