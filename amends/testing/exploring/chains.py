"""The failure table with what was really undone: the chains that the exploration met, not those drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from amends.domain.state import Status
from amends.domain.wire import Direction, Outcome
from amends.projections.design.failures import ANY, Cause, Failure, Undo, failures
from amends.projections.design.outline import Design
from amends.testing.exploring.explorer import Explorer, Node
from amends.testing.exploring.moves import CANCEL, DEADLINE, NO_ANSWER, Move

Chain: TypeAlias = Mapping[str, str]
"""The steps that were undone, each with what was asked for that."""

_CAUSES = {
    str(Outcome.REJECTED): Cause.REJECTED,
    str(Outcome.FAILED): Cause.UNANSWERED,
    NO_ANSWER: Cause.UNANSWERED,
    CANCEL: Cause.TURNED_BACK,
    DEADLINE: Cause.TURNED_BACK,
}


_BACKWARDS = (Status.COMPENSATING, Status.COMPENSATED)


@dataclass
class Chains:
    """All chains of one definition, by where it turned back and why."""

    met: dict[tuple[str, Cause], list[Chain]] = field(default_factory=dict[tuple[str, Cause], list[Chain]])
    _known: dict[Node, Chain] = field(default_factory=dict[Node, Chain])

    def add(self, explorer: Explorer) -> None:
        """Take every turning back that this exploration met."""
        for node in explorer.nodes:
            for move, reached in node.next:
                if node.state.status is Status.RUNNING and reached.state.status in _BACKWARDS:
                    self.met.setdefault(_why(move), []).append(self._chain(reached))

    def table(self, design: Design) -> Sequence[Failure]:
        """The failure table; a row that was never met says so."""
        return [self._row(design, row) for row in failures(design)]

    def _row(self, design: Design, row: Failure) -> Failure:
        if row.cause is Cause.OTHER:
            return row
        chains = self.met.get((row.point, row.cause))
        if chains is None:
            return replace(row, chain=(), then="cannot happen")
        return replace(row, chain=tuple(_rows(design, chains)))

    def _chain(self, node: Node) -> Chain:
        """What is undone from here on, if every service does what it is asked."""
        chain: dict[str, str] = {}
        passed = [node]
        while node not in self._known and (forth := _succeeding(node)):
            move, after = forth
            chain[move.step] = node.state.step(move.step).compensation.rounds[-1].subject
            node = after
            passed.append(node)
        chain |= self._known.get(node, {})
        self._known[passed[0]] = chain
        return chain


def _succeeding(node: Node) -> tuple[Move, Node] | None:
    for move, after in node.next:
        if move.direction is Direction.COMPENSATE and move.what == str(Outcome.SUCCEEDED):
            return move, after
    return None


def _why(move: Move) -> tuple[str, Cause]:
    if not move.step:
        return ANY, Cause.TURNED_BACK
    if move.direction is Direction.CLOSE:
        return move.step, Cause.REJECTED
    return move.step, _CAUSES[move.what]


def _rows(design: Design, chains: Sequence[Chain]) -> Iterator[tuple[Undo, ...]]:
    """All chains of one row in one: what is not in every one of them is uncertain."""
    actions: dict[str, dict[str, None]] = {}
    for chain in chains:
        for step, subject in chain.items():
            actions.setdefault(step, {})[subject] = None
    for row in design.undoing(actions):
        yield tuple(
            Undo(node.name, " or ".join(actions[node.name]), all(node.name in chain for chain in chains))
            for node in row
        )
