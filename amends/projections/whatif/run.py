"""What-if over a whole store: every history that is wanted, one batch in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject, SagaMigrated
from amends.domain.handlers.definition import AnyDefinition
from amends.infrastructure.ports import Which
from amends.projections.histories import Histories, walk
from amends.projections.whatif.differences import KINDS, Comparison, Difference, compare, is_expected

LISTED: Final = 100
"""Sagas with differences that are told one by one, unless another number is asked for; all are counted."""


class BadExpectation(AmendsError):
    """What is expected to differ does not name a kind of difference."""


class NothingRecorded(AmendsError):
    """There is no history to decide again."""


@dataclass
class Outcome:
    """What came of it. `counts` has all differences by name, `sagas` the first sagas that differ: surprises first."""

    candidate: str
    expected: Sequence[str]
    examined: int = 0
    differing: int = 0
    unexpected: int = 0
    unreadable: int = 0
    migrated: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    sagas: list[Comparison] = field(default_factory=list[Comparison])

    @property
    def passed(self) -> bool:
        """Nothing differs that was not expected to."""
        return not self.unexpected and not self.unreadable

    @property
    def same(self) -> int:
        """How many would have gone the same."""
        return self.examined - self.differing - self.unreadable

    def surprises(self, comparison: Comparison) -> Iterator[Difference]:
        """Its differences that were not expected."""
        return (each for each in comparison.differences if not is_expected(each, self.expected))

    def as_json(self) -> JsonObject:
        return {
            "candidate": self.candidate,
            "expected": list(self.expected),
            "examined": self.examined,
            "the_same": self.same,
            "differing": self.differing,
            "unexpected": self.unexpected,
            "unreadable": self.unreadable,
            "migrated": self.migrated,
            "differences": dict(sorted(self.counts.items())),
            "sagas": [
                {**each.as_json(), "unexpected": any(True for _ in self.surprises(each))}
                for each in self.sagas
            ],
        }


async def what_if(
    store: Histories,
    candidate: AnyDefinition,
    which: Which,
    expected: Sequence[str] = (),
    *,
    listed: int = LISTED,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Decide these histories again by the candidate. `expected` are patterns of differences that are intended.

    A saga that was migrated had several definitions: the candidate decides it from its last migration on.
    Raises `BadExpectation` for a pattern that no difference can match, `NothingRecorded` where there is no history.
    """
    _check(expected)
    outcome = Outcome(f"{candidate.name}@{candidate.version}", expected)
    async for _, history in walk(store, which):
        outcome.examined += 1
        if isinstance(history, Exception):
            outcome.unreadable += 1
        else:
            outcome.migrated += any(isinstance(recorded.event, SagaMigrated) for recorded in history)
            _count(outcome, compare(candidate, history), listed)
        progress()
    if not outcome.examined:
        raise NothingRecorded(
            f"expected histories to decide again ({_named(which)}), found none; name others with --against"
        )
    return outcome


def _count(outcome: Outcome, comparison: Comparison, listed: int) -> None:
    if not comparison.differences:
        return
    surprising = any(True for _ in outcome.surprises(comparison))
    outcome.differing += 1
    outcome.unexpected += surprising
    outcome.counts.update(each.name for each in comparison.differences)
    # What surprises is told before what does not; so the list keeps its length.
    at = (
        sum(any(True for _ in outcome.surprises(each)) for each in outcome.sagas)
        if surprising
        else len(outcome.sagas)
    )
    outcome.sagas.insert(at, comparison)
    del outcome.sagas[listed:]


def _check(expected: Sequence[str]) -> None:
    for pattern in expected:
        kind, colon, what = pattern.partition(":")
        if not (colon and what and (kind in KINDS or "*" in kind)):
            raise BadExpectation(
                f"expected KIND:STEP, where KIND is one of {', '.join(KINDS)} and * stands for anything, "
                f"such as added:notify; got {pattern!r}"
            )


def _named(which: Which) -> str:
    version = "" if which.definition is None else f"@{which.definition}"
    rest = [f"{name} {value}" for name, value in (("key", which.key), ("status", which.status)) if value]
    return ", ".join([f"{which.saga or 'any type'}{version}", *rest])
