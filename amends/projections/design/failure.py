"""One row of a failure table, and the words in which it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from amends.domain.events import JsonObject
from amends.projections.design.outline import duration

NOTE = (
    "→ then; ‖ side by side; (in brackets) only where its step had begun by then. "
    "Steps that were skipped, or have no compensation, are passed over."
)

ANY = "any step"
COMPENSATED = "compensated"


class Cause(StrEnum):
    """What a row is about."""

    REJECTED = "rejected"
    UNANSWERED = "no answer, or a technical failure, after the last attempt"
    NO_EVENT = "no event"
    TURNED_BACK = "the deadline passes, or it is cancelled"
    DECIDED = "a handler decides so"
    OTHER = "other"  # nothing is undone


@dataclass(frozen=True)
class Undo:
    """One compensation of a chain; `certain` where its step is always done at this failure point."""

    step: str
    action: str
    certain: bool = True

    def __str__(self) -> str:
        return self.action if self.certain else f"({self.action})"


Chain: TypeAlias = tuple[tuple[Undo, ...], ...]
"""Rows of compensations that run side by side, one row after the other."""


@dataclass(frozen=True)
class Failure:
    """One row; `then` is how it ends."""

    point: str
    what: str
    chain: Chain
    then: str
    cause: Cause = Cause.OTHER
    tells: str = ""  # what is published then

    def text(self) -> str:
        """What happens, as one line."""
        undone = [" ‖ ".join(map(str, row)) for row in self.chain]
        if not undone and self.then == COMPENSATED:
            undone = ["nothing to undo"]
        told = [f"publishes {self.tells}"] if self.tells else []
        return " → ".join([*told, *undone, self.then])

    def as_json(self) -> JsonObject:
        chain = [
            [{"step": u.step, "action": u.action, "certain": u.certain} for u in row] for row in self.chain
        ]
        return {
            "point": self.point,
            "what": self.what,
            "publishes": self.tells,
            "chain": chain,
            "then": self.then,
        }


def tries(attempts: int | None) -> str:
    """How often it is asked quickly."""
    return f"{attempts} attempt{'s' if attempts != 1 else ''}" if attempts else "the last attempt"


def unanswered(attempts: int | None) -> str:
    """What is no answer."""
    return f"no answer, or a technical failure, after {tries(attempts)}"


def forward_only(point: str, attempts: int | None) -> Failure:
    """What comes after the pivot is asked for until it is done."""
    then = f"asked again until it is done; parked after {tries(attempts)}"
    return Failure(point, "rejected, failed or no answer", (), then)


def closing(pivot: str, service: str, attempts: int | None) -> Iterator[Failure]:
    """A pivot of which nobody knows whether it took effect."""
    then = (
        f"{service} is asked to close it: if it did happen, the saga goes on; if not, as when it is rejected"
    )
    yield Failure(pivot, unanswered(attempts), (), then)
    waits = f"{service} is asked again until it answers; parked after {tries(attempts)}; nothing else is sent"
    yield Failure(f"closing {pivot}", "failed or no answer", (), waits)


def turned_back(
    pivot: str, deadline: float | None, chain: Chain, *, foreign: bool = False
) -> Iterator[Failure]:
    """The deadline and a cancel, before, at and after the pivot, if there is one; and a compensation that fails."""
    limited = deadline is not None
    cause = f"the deadline of {duration(deadline)} passes, or it is cancelled" if limited else "cancelled"
    before = f"{cause}, before {pivot} is asked for" if pivot else cause
    yield Failure(ANY, before, chain, COMPENSATED, Cause.TURNED_BACK)
    if pivot:
        out = "parked for a person, as above" if foreign else f"{pivot} is closed, as above"
        yield Failure(ANY, f"{cause}, while {pivot} is out", (), out)
        refused = "a cancel is refused" + ("; the deadline only shows it as stuck" if limited else "")
        yield Failure(ANY, f"{cause}, after {pivot}", (), refused)
    if chain:
        then = "asked again until it is done, parked after its attempts; independent branches go on"
        yield Failure("any compensation", "rejected, failed or no answer", (), then)
