"""Every way in which a saga can go, explored over the core: what `amends check` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.events import JsonObject
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.messages import Event
from amends.domain.turn import Turn
from amends.projections.design.conduct import Conduct
from amends.projections.design.failure import Failure
from amends.projections.design.outline import outline
from amends.testing.exploring.calls import Calls
from amends.testing.exploring.chains import Chains
from amends.testing.exploring.explorer import Decide, Explorer, Node, Problem, Progress, TooLarge
from amends.testing.exploring.likeness import bounded
from amends.testing.exploring.moves import Move, doing
from amends.testing.exploring.purity import NotPure, called_twice
from amends.testing.exploring.samples import NoSample, alike, choices
from amends.testing.exploring.verdict import dead_ends, no_way_out, rounds_without_end

__all__ = ["Exploration", "Move", "NoSample", "Node", "NotPure", "Problem", "TooLarge", "explore"]


LIMIT: Final = 200_000
"""States that are explored at most, unless more are asked for: some gigabytes of them."""


@dataclass(frozen=True)
class Exploration:
    """What was found. `states` and `moves` are counted over all `starts`; `parks` names where it can park.

    `never` are steps that never began: no start event that was tried leads there, so nothing is proven of them.
    `conduct` is what the handlers of a process manager decided.
    """

    starts: int
    states: int
    moves: int
    ends: frozenset[str]
    parks: frozenset[str]
    never: Sequence[str]
    failures: Sequence[Failure]
    problems: Sequence[Problem]
    conduct: Conduct

    @property
    def settles(self) -> bool:
        """Every way settles or parks, and nothing is wrong on any of them."""
        return not self.problems


def explore(
    definition: AnyDefinition,
    starts: Sequence[JsonObject] = (),
    progress: Progress = lambda explored, waiting: None,
    decide: Decide = take_turn,
    limit: int = LIMIT,
) -> Exploration:
    """Explore a definition from each of these start events; without any, from samples of their types.

    A start event for which every function builds what it built before is not explored again.
    Stops at what is wrong on the shortest way to it. Raises `NoSample` where a message cannot be made up, and
    `TooLarge` where there are more states than `limit` from one start event.
    """
    explorers: list[Explorer] = []
    problems: list[Problem] = []
    chains = Chains()
    pure = called_twice(bounded(definition))
    known: list[Calls] = []
    conduct = Conduct(definition.shape())
    tried = 0
    for subject, said, start in _starts(definition, starts):
        tried += 1
        if any(calls.same_from(start) for calls in known):
            continue
        calls = Calls(pure)
        known.append(calls)
        make = partial(
            Explorer, subject=subject, start=start, decide=decide, said=said, watch=partial(_note, conduct)
        )
        explorer = _explored(calls, make, progress, limit)
        explorers.append(explorer)
        problems += explorer.problems or _unsettled(explorer.nodes)
        chains.add(explorer)
    every = [node for explorer in explorers for node in explorer.nodes]
    return Exploration(
        starts=tried,
        states=len(every),
        moves=sum(explorer.moves for explorer in explorers),
        ends=frozenset(str(node.state.status) for node in every if node.final),
        parks=frozenset(place for node in every for place in _parked(node)),
        never=_never(definition, every),
        failures=chains.table(outline(definition.shape(), conduct=conduct)),
        conduct=conduct,
        problems=problems,
    )


def _explored(calls: Calls, make: Callable[..., Explorer], progress: Progress, limit: int) -> Explorer:
    """Explore, and anew where a function looked at a reply that had been taken not to matter."""
    while True:
        explorer = make(calls.watched(), read=calls.read)
        explorer.run(progress, limit)
        if not explorer.outdated:
            return explorer


def _starts(definition: AnyDefinition, given: Sequence[JsonObject]) -> Iterator[tuple[str, str, JsonObject]]:
    """Each start event, with its subject and what is special about it."""
    kinds: Sequence[type[Event]]
    if isinstance(definition, Definition):
        kinds = (definition.start,)
    else:
        kinds = tuple(each.event for each in definition.starts)
    for kind in kinds[:1] if given else kinds:
        made = [("", each) for each in given] or list(choices(kind))
        for said, start in made:
            yield kind.subject, said, start
        equal = alike(made[0][1])
        if not given and equal is not None:
            yield kind.subject, " with all its texts alike", equal


def _note(conduct: Conduct, turn: Turn) -> None:
    """Take a decision of a process manager into account."""
    if turn.manager is not None:
        conduct.add(turn.events)
        conduct.add_order(turn.state.handlers.sends)


def _unsettled(nodes: Sequence[Node]) -> Iterator[Problem]:
    yield from dead_ends(nodes)
    yield from rounds_without_end(nodes)
    yield from no_way_out(nodes)


def _never(definition: AnyDefinition, nodes: Sequence[Node]) -> Sequence[str]:
    if not isinstance(definition, Definition):
        return ()
    begun = {name for node in nodes for name, step in node.state.steps.items() if step.begun}
    return [step.name for step in definition.steps if step.announces is None and step.name not in begun]


def _parked(node: Node) -> Iterator[str]:
    for step, direction, line in node.state.active():
        if line.parked:
            yield doing(direction, step.name)
    for step, wait in node.state.waits():
        if wait.parked:
            yield step.name
