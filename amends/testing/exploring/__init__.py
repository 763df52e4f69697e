"""Every way in which a saga can go, explored over the core: what `amends check` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.events import JsonObject
from amends.projections.design.failures import Failure
from amends.projections.design.outline import outline
from amends.testing.exploring.chains import Chains
from amends.testing.exploring.explorer import Decide, Explorer, Node, Problem, Progress
from amends.testing.exploring.likeness import bounded
from amends.testing.exploring.moves import Move, doing
from amends.testing.exploring.purity import NotPure, called_twice
from amends.testing.exploring.samples import NoSample, samples
from amends.testing.exploring.verdict import dead_ends, no_way_out, rounds_without_end

__all__ = ["Exploration", "Move", "NoSample", "Node", "NotPure", "Problem", "explore"]


@dataclass(frozen=True)
class Exploration:
    """What was found. `states` and `moves` are counted over all `starts`; `parks` names where it can park."""

    starts: int
    states: int
    moves: int
    ends: frozenset[str]
    parks: frozenset[str]
    failures: Sequence[Failure]
    problems: Sequence[Problem]

    @property
    def settles(self) -> bool:
        """Every way settles or parks, and nothing is wrong on any of them."""
        return not self.problems


def explore(
    definition: Definition,
    starts: Sequence[JsonObject] = (),
    progress: Progress = lambda explored, waiting: None,
    decide: Decide = take_turn,
) -> Exploration:
    """Explore a definition from each of these start events; without any, from samples of its type.

    Stops at what is wrong on the shortest way to it. Raises `NoSample` where a message cannot be made up.
    """
    explorers: list[Explorer] = []
    problems: list[Problem] = []
    chains = Chains()
    for start in starts or samples(definition.start):
        explorer = Explorer(called_twice(bounded(definition)), start, decide)
        explorer.run(progress)
        explorers.append(explorer)
        problems += explorer.problems or _unsettled(explorer.nodes)
        chains.add(explorer)
    every = [node for explorer in explorers for node in explorer.nodes]
    return Exploration(
        starts=len(explorers),
        states=len(every),
        moves=sum(explorer.moves for explorer in explorers),
        ends=frozenset(str(node.state.status) for node in every if node.final),
        parks=frozenset(place for node in every for place in _parked(node)),
        failures=chains.table(outline(definition.shape())),
        problems=problems,
    )


def _unsettled(nodes: Sequence[Node]) -> Iterator[Problem]:
    yield from dead_ends(nodes)
    yield from rounds_without_end(nodes)
    yield from no_way_out(nodes)


def _parked(node: Node) -> Iterator[str]:
    for step, direction, line in node.state.active():
        if line.parked:
            yield doing(direction, step.name)
