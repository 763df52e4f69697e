"""The failure table with what was really undone: the chains that the exploration met, not those drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from amends.domain import events as e
from amends.domain.wire import Direction, Outcome
from amends.projections.design.failure import ANY, COMPENSATED, Cause, Failure, Undo
from amends.projections.design.failures import failures
from amends.projections.design.outline import Design
from amends.testing.exploring.explorer import Explorer, Node
from amends.testing.exploring.moves import Move

Chain: TypeAlias = Mapping[str, str]
"""The steps that were undone, each with what was asked for that."""


@dataclass
class Chains:
    """All chains of one definition, by where it turned back and why."""

    met: dict[tuple[str, Cause], list[Chain]] = field(default_factory=dict[tuple[str, Cause], list[Chain]])
    _known: dict[Node, Chain] = field(default_factory=dict[Node, Chain])

    def add(self, explorer: Explorer) -> None:
        """Take every turning back that this exploration met."""
        for move, events, reached in explorer.turned_back:
            self.met.setdefault(_why(move, events), []).append(self._chain(reached))

    def table(self, design: Design) -> Sequence[Failure]:
        """The failure table; a row that was never met says so. What handlers decided to undo comes last."""
        rows = [self._row(design, row) for row in failures(design)]
        told = {(row.point, row.cause) for row in rows}
        others = sorted(
            (where for where in self.met if where not in told), key=lambda where: _place(where[0])
        )
        if design.handlers:
            rows += [_row_met(point, cause, self.met[point, cause]) for point, cause in others]
        return rows

    def _row(self, design: Design, row: Failure) -> Failure:
        if row.cause is Cause.OTHER:
            return row
        chains = self.met.get((row.point, row.cause))
        if chains is None:
            return replace(row, chain=(), then="cannot happen", tells="")
        return replace(row, chain=tuple(_in_turn(chains) if design.handlers else _rows(design, chains)))

    def _chain(self, node: Node) -> Chain:
        """What is undone from here on, if every service does what it is asked."""
        chain: dict[str, str] = {}
        first, passed = node, {node}
        while node not in self._known and (forth := _succeeding(node)):
            move, after = forth
            chain[move.step] = node.state.step(move.step).compensation.rounds[-1].subject
            if after in passed:
                break  # a core that goes round; that is found elsewhere
            passed.add(after)
            node = after
        chain |= self._known.get(node, {})
        self._known[first] = chain
        return chain


def _succeeding(node: Node) -> tuple[Move, Node] | None:
    for move, after in node.next:
        if move.direction is Direction.COMPENSATE and move.what == str(Outcome.SUCCEEDED):
            return move, after
    return None


def _why(move: Move, events: Sequence[e.SagaEvent]) -> tuple[str, Cause]:
    """Where it turned back, and why: as recorded, for an event that came early may count only now."""
    for event in events:
        if isinstance(event, e.WaitRejected | e.WaitTimedOut):
            return event.step, Cause.NO_EVENT
        for kind, cause in _CAUSES:
            if isinstance(event, kind):
                return move.step or ANY, cause
    return str(move), Cause.DECIDED


_CAUSES: Final = (
    (e.CancelRequested, Cause.TURNED_BACK),
    (e.DeadlinePassed, Cause.TURNED_BACK),
    (e.CommandRejected, Cause.REJECTED),
    (e.CommandFailed, Cause.UNANSWERED),
    (e.CommandTimedOut, Cause.UNANSWERED),
)


def _place(point: str) -> tuple[bool, int, str]:
    """By the number that a handler's command has in its name, `charge#2`; what is said of any step comes last."""
    number = point.rpartition("#")[2]
    return point == ANY, int(number) if number.isdigit() else 0, point


def _row_met(point: str, cause: Cause, chains: Sequence[Chain]) -> Failure:
    """A row that nothing but exploring can tell: what a handler decided."""
    return Failure(point, str(cause), tuple(_in_turn(chains)), COMPENSATED, cause)


def _in_turn(chains: Sequence[Chain]) -> Iterator[tuple[Undo, ...]]:
    """All chains of a process manager in one: its commands are undone one after the other."""
    undone = [dict.fromkeys(chain.values()) for chain in chains]
    actions = {action: None for chain in sorted(undone, key=len, reverse=True) for action in chain}
    for each in actions:
        yield (Undo(each, each, all(each in chain for chain in undone)),)


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
