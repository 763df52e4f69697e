"""The failure table: where a saga can fail, what failed, and what is then undone, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from amends.domain.events import JsonObject
from amends.projections.design.chains import Broken, broken, links
from amends.projections.design.outline import Design, Node, duration

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


@dataclass(frozen=True)
class Failure:
    """One row. `chain` is in rows of compensations that run side by side; `then` is how it ends."""

    point: str
    what: str
    chain: tuple[tuple[Undo, ...], ...]
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


def failures(design: Design) -> Sequence[Failure]:
    """Every row, in the order of the steps."""
    if links(design):
        return [_of_chain(row) for row in broken(design)]
    rows = [row for ranked in design.ranks for node in ranked for row in _of_step(design, node)]
    if design.nodes:
        rows += _of_saga(design)
    return rows


def _of_chain(row: Broken) -> Failure:
    chain = tuple(
        tuple(Undo(link.name, f"{link.service}: {link.publishes}") for link in links) for links in row.chain
    )
    then = COMPENSATED if row.compensated else "it is waited for further"
    return Failure(row.point, row.what, chain, then, tells=row.tells)


def _of_step(design: Design, node: Node) -> Iterator[Failure]:
    if node.publishes:
        return
    if node.waits:
        yield _silence(design, node)
    elif node.pivot:
        yield from _rejected(design, node)
        yield Failure(node.name, _unanswered(node), (), _closing(node))
    elif design.never_undone(node):
        then = f"asked again until it is done; parked after {_tries(node)}"
        yield Failure(node.name, "rejected, failed or no answer", (), then)
    else:
        yield from _rejected(design, node)
        chain = _chain(design, node, itself=True)
        yield Failure(node.name, _unanswered(node), chain, COMPENSATED, Cause.UNANSWERED)


def _rejected(design: Design, node: Node) -> Iterator[Failure]:
    delays = [duration(delay) for delay in node.forward.again]
    what = f"rejected, and again after {', '.join(delays)}" if delays else "rejected"
    if node.forward.rejects:
        chain = _chain(design, node)
        yield Failure(node.name, what, chain, COMPENSATED, Cause.REJECTED, node.tells)


def _silence(design: Design, node: Node) -> Failure:
    what = f"no {node.forward.action} within {duration(node.forward.timeout)}"
    if not design.never_undone(node):
        what += ", or one that says no"
        return Failure(node.name, what, _chain(design, node), COMPENSATED, Cause.NO_EVENT, node.tells)
    then = "the step is skipped" if node.on_timeout == "skip" else "parked for a person; it waits on"
    return Failure(node.name, what, (), then)


def _tries(node: Node) -> str:
    attempts = node.forward.attempts
    return f"{attempts} attempt{'s' if attempts != 1 else ''}" if attempts else "the last attempt"


def _unanswered(node: Node) -> str:
    return f"no answer, or a technical failure, after {_tries(node)}"


def _closing(node: Node) -> str:
    if node.forward.foreign:
        return "parked for a person, who finds out: a foreign service cannot be asked to close it"
    return (
        f"{node.forward.services[0]} is asked to close it: if it did happen, the saga goes on; "
        "if not, as when it is rejected"
    )


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
        yield Failure(ANY, cause, chain, COMPENSATED, Cause.TURNED_BACK)
    else:
        refused = "a cancel is refused" + ("; the deadline only shows it as stuck" if limited else "")
        yield Failure(
            ANY, f"{cause}, before {pivot.name} is asked for", chain, COMPENSATED, Cause.TURNED_BACK
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
    begun = {name for name in beside if _had_begun(design, node, design.node(name))}
    certain = before | begun | ({node.name} if itself else set[str]())
    return _rows(design, certain | beside, certain)


def _had_begun(design: Design, failed: Node, beside: Node) -> bool:
    """Always. A wait may end as soon as it begins, by an event that came early, before others are asked."""
    if failed.waits:
        return any(design.before[name].issuperset(beside.after) for name in failed.after)
    return design.before[failed.name].issuperset(beside.after)


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
