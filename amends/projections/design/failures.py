"""The failure table: where a saga can fail, what failed, and what is then undone, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from amends.domain.events import JsonObject
from amends.projections.design.outline import Design, Node, duration

NOTE = (
    "→ then; ‖ side by side; (in brackets) only where its step had begun by then. "
    "Steps that were skipped, or have no compensation, are passed over."
)

ANY = "any step"
_COMPENSATED = "compensated"


class Cause(StrEnum):
    """What a row is about."""

    REJECTED = "rejected"
    UNANSWERED = "unanswered"
    NO_EVENT = "no event"
    TURNED_BACK = "turned back"
    OTHER = "other"  # nothing is undone


@dataclass(frozen=True)
class Undo:
    """One compensation of a chain; `certain` where its step is always done at this failure point."""

    step: str
    action: str
    certain: bool = True

    def __str__(self) -> str:
        return self.action if self.certain else f"({self.action})"


@dataclass(frozen=True)
class Failure:
    """One row. `chain` is in rows of compensations that run side by side; `then` is how it ends."""

    point: str
    what: str
    chain: tuple[tuple[Undo, ...], ...]
    then: str
    cause: Cause = Cause.OTHER

    def text(self) -> str:
        """What happens, as one line."""
        undone = [" ‖ ".join(map(str, row)) for row in self.chain]
        if not undone and self.then == _COMPENSATED:
            undone = ["nothing to undo"]
        return " → ".join([*undone, self.then])

    def as_json(self) -> JsonObject:
        chain = [
            [{"step": u.step, "action": u.action, "certain": u.certain} for u in row] for row in self.chain
        ]
        return {"point": self.point, "what": self.what, "chain": chain, "then": self.then}


def failures(design: Design) -> Sequence[Failure]:
    """Every row, in the order of the steps."""
    rows = [row for ranked in design.ranks for node in ranked for row in _of_step(design, node)]
    if design.nodes:
        rows += _of_saga(design)
    return rows


def _of_step(design: Design, node: Node) -> Iterator[Failure]:
    tries = f"{node.forward.attempts} attempts" if node.forward.attempts else "the last attempt"
    unanswered = f"no answer, or a technical failure, after {tries}"
    if node.kind == "publish":
        return
    if node.pivot:
        yield Failure(node.name, "rejected", _chain(design, node), _COMPENSATED, Cause.REJECTED)
        close = (
            f"{node.forward.services[0]} is asked to close it: if it did happen, the saga goes on; "
            "if not, as when it is rejected"
        )
        yield Failure(node.name, unanswered, (), close)
    elif node.waits and node.on_timeout:
        then = "the step is skipped" if node.on_timeout == "skip" else "parked for a person; it waits on"
        yield Failure(node.name, _silence(node), (), then)
    elif design.never_undone(node):
        yield Failure(
            node.name,
            "rejected, failed or no answer",
            (),
            f"asked again until it is done; parked after {tries}",
        )
    elif node.waits:
        what = f"{_silence(node)}, or it says no"
        yield Failure(node.name, what, _chain(design, node), _COMPENSATED, Cause.NO_EVENT)
    else:
        yield Failure(node.name, "rejected", _chain(design, node), _COMPENSATED, Cause.REJECTED)
        yield Failure(
            node.name, unanswered, _chain(design, node, itself=True), _COMPENSATED, Cause.UNANSWERED
        )


def _silence(node: Node) -> str:
    return f"no {node.forward.action} within {duration(node.forward.timeout)}"


def _of_saga(design: Design) -> Iterator[Failure]:
    pivot = design.pivot
    reversible = [node for node in design.nodes if not design.never_undone(node)]
    first = frozenset(node.name for node in reversible if not node.after)
    chain = _rows(design, {node.name for node in reversible}, certain=first)
    limited = design.deadline is not None
    cause = (
        f"the deadline of {duration(design.deadline)} passes, or it is cancelled" if limited else "cancelled"
    )
    if pivot is None:
        yield Failure(ANY, cause, chain, _COMPENSATED, Cause.TURNED_BACK)
    else:
        refused = "a cancel is refused" + ("; the deadline only shows it as stuck" if limited else "")
        yield Failure(
            ANY, f"{cause}, before {pivot.name} is asked for", chain, _COMPENSATED, Cause.TURNED_BACK
        )
        yield Failure(ANY, f"{cause}, while {pivot.name} is out", (), f"{pivot.name} is closed, as above")
        yield Failure(ANY, f"{cause}, after {pivot.name}", (), refused)
    if any(node.compensation for node in reversible):
        yield Failure(
            "any compensation",
            "rejected, failed or no answer",
            (),
            "asked again until it is done, parked after its attempts; independent branches go on",
        )


def _chain(design: Design, node: Node, *, itself: bool = False) -> tuple[tuple[Undo, ...], ...]:
    """What is undone when this step fails: all before it, and what runs beside it, where that had begun."""
    before = design.before[node.name]
    beside = {
        other.name
        for other in design.nodes
        if other is not node
        and other.name not in before
        and node.name not in design.before[other.name]
        and not design.never_undone(other)
    }
    begun = {name for name in beside if before.issuperset(design.node(name).after)}
    certain = before | begun | ({node.name} if itself else set[str]())
    return _rows(design, certain | beside, certain)


def _rows(
    design: Design, names: set[str] | frozenset[str], certain: frozenset[str]
) -> tuple[tuple[Undo, ...], ...]:
    return tuple(
        tuple(
            Undo(each.name, each.compensation.action, each.name in certain)
            for each in row
            if each.compensation is not None
        )
        for row in design.undoing(names)
    )
