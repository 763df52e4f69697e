"""The failure table: where a saga can fail, what failed, and what is then undone, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amends.projections.design.chains import Broken, broken, links
from amends.projections.design.failure import (
    COMPENSATED,
    Cause,
    Chain,
    Failure,
    Undo,
    closing,
    forward_only,
    turned_back,
    unanswered,
)
from amends.projections.design.handler_failures import handler_failures
from amends.projections.design.outline import Design, Node, duration


def failures(design: Design) -> Sequence[Failure]:
    """Every row, in the order of the steps."""
    if design.handlers:
        return handler_failures(design)
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
        yield from _closing(node)
    elif design.never_undone(node):
        yield forward_only(node.name, node.forward.attempts)
    else:
        yield from _rejected(design, node)
        chain = _chain(design, node, itself=True)
        yield Failure(node.name, unanswered(node.forward.attempts), chain, COMPENSATED, Cause.UNANSWERED)


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


def _closing(node: Node) -> Iterator[Failure]:
    attempts = node.forward.attempts
    if not node.forward.foreign:
        yield from closing(node.name, node.forward.services[0], attempts)
        return
    then = "parked for a person, who finds out: a foreign service cannot be asked to close it"
    yield Failure(node.name, unanswered(attempts), (), then)


def _of_saga(design: Design) -> Iterator[Failure]:
    pivot = design.pivot
    reversible = [node for node in design.nodes if not design.never_undone(node)]
    first = frozenset(node.name for node in reversible if not node.after)
    chain = _rows(design, {node.name for node in reversible}, certain=first)
    foreign = pivot is not None and pivot.forward.foreign
    yield from turned_back(pivot.name if pivot else "", design.deadline, chain, foreign=foreign)


def _chain(design: Design, node: Node, *, itself: bool = False) -> Chain:
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


def _rows(design: Design, names: set[str] | frozenset[str], certain: frozenset[str]) -> Chain:
    return tuple(
        tuple(
            Undo(each.name, each.compensation.action, each.name in certain)
            for each in row
            if each.compensation is not None
        )
        for row in design.undoing(names)
    )
