"""Every way in which a saga can go: breadth first over the core's own decisions, alike states merged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.identity import saga_id
from amends.domain.inputs import Input
from amends.domain.state import SagaState, Status
from amends.domain.told import Start
from amends.domain.turn import Turn
from amends.testing import invariants
from amends.testing.exploring.likeness import likeness, plan_of
from amends.testing.exploring.moves import Move, Moves
from amends.testing.exploring.timers import with_timers
from amends.testing.ledger import Ledger

Progress = Callable[[int, int], None]
"""Told now and then how many states are explored, and how many wait to be."""

Watch = Callable[[Turn], None]
"""Told of every decision."""

Decide = Callable[[AnyDefinition, UUID, SagaState | None, Input, datetime, str], Turn]

_NAMESPACE: Final = "check"
_OFTEN: Final = 200


_BACKWARDS: Final = (Status.COMPENSATING, Status.COMPENSATED)


class TooLarge(AmendsError):
    """A definition has more states than are to be explored; nothing is proven of it."""


class DecidesTwice(AmendsError):
    """An input that was applied already leads to events once more."""


@dataclass(eq=False)
class Node:
    """A state, as it was first reached, and where each move from it leads."""

    state: SagaState
    ledger: Ledger
    parent: Node | None = None
    move: Move | None = None
    events: Sequence[e.SagaEvent] = ()
    next: list[tuple[Move, Node]] = field(default_factory=list["tuple[Move, Node]"])

    @property
    def final(self) -> bool:
        """The saga is over, but for what may come late."""
        return self.state.status.final

    @property
    def parked(self) -> bool:
        """A person has been told of it."""
        lines = any(line.parked for _, _, line in self.state.active())
        waits = any(wait.parked for _, wait in self.state.waits())
        return lines or waits or bool(self.state.contradictions)

    def path(self) -> list[Node]:
        """The shortest way from the start to here."""
        nodes = [self]
        while nodes[-1].parent is not None:
            nodes.append(nodes[-1].parent)
        return nodes[::-1]


@dataclass(frozen=True)
class Problem:
    """What is wrong, and the shortest way to it. `move` is the last one, where it led to no state."""

    what: str
    node: Node | None
    move: Move | None = None

    @property
    def trace(self) -> Sequence[tuple[Move, Sequence[e.SagaEvent]]]:
        """What happened, from the start on, and what was recorded of it."""
        path = self.node.path() if self.node else []
        way = [(node.move, node.events) for node in path if node.move is not None]
        return [*way, (self.move, ())] if self.move else way


class Explorer:
    """Explores one definition from one start event, of which `said` tells what is special.

    `decide` is the core's; a test can give a broken one. `read` grows while functions look at replies: what was
    explored before they looked at a new one took some states for alike that are not, and is `outdated`.
    """

    def __init__(
        self,
        definition: AnyDefinition,
        subject: str,
        start: JsonObject,
        decide: Decide = take_turn,
        said: str = "",
        read: Set[str] = frozenset(),
        watch: Watch = lambda turn: None,
    ) -> None:
        self.nodes: list[Node] = []
        self.problems: list[Problem] = []
        self.moves = 0
        self.turned_back: list[tuple[Move, Sequence[e.SagaEvent], Node]] = []
        self._definition = definition
        self._decide = decide
        self._said = said
        self._read = read
        self._watch = watch
        self._told_apart = frozenset(read)
        self._moves = Moves(definition)
        self._known: dict[Hashable, Node] = {}
        self._waiting: deque[Node] = deque()
        key = definition.key_of(definition.read_start(subject, to_json(start)))
        self._id = saga_id(_NAMESPACE, definition.name, key)
        self._start = Start("start", self._id, _NAMESPACE, key, subject, start)

    @property
    def outdated(self) -> bool:
        """It has to be explored anew, with other states told apart."""
        return self._read != self._told_apart

    def run(self, progress: Progress, limit: int) -> None:
        """Explore until nothing new turns up, or something goes wrong. Raises `TooLarge` beyond `limit` states."""
        self._follow(None, Move(f"{self._start.subject} starts it{self._said}", self._start, None))
        while self._waiting and not (self.problems or self.outdated):
            node = self._waiting.popleft()
            for move in self._moves.of(node.state):
                self._follow(node, move)
                self.moves += 1
            if len(self.nodes) > limit:
                raise TooLarge(
                    f"expected {self._definition.name}@{self._definition.version} to have at most {limit:,} states; "
                    "it has more, none of those explored is wrong. Allow more with --limit, or have fewer steps "
                    "side by side: each multiplies the states"
                )
            if self.moves % _OFTEN < len(node.next):
                progress(len(self.nodes), len(self._waiting))
        progress(len(self.nodes), len(self._waiting))

    def _follow(self, node: Node | None, move: Move) -> None:
        try:
            turn = self._turn(move)
        except Exception as error:  # noqa: BLE001 - whatever a step's function raises would quarantine the saga
            self.problems.append(Problem(f"{type(error).__name__}: {error}", node, move))
            return
        self._watch(turn)
        plan = plan_of(self._definition, turn.state)
        ledger = node.ledger.fork(_steps(turn.events)) if node else _ledger(plan)
        for event in turn.events:
            for broken in invariants.of_event(plan, ledger, event, timed=False):
                self.problems.append(Problem(f"invariant {broken}", node, move))
        alike = likeness(self._definition, turn.state, self._told_apart)
        reached = self._known.get(alike)
        if reached is None:
            reached = self._known[alike] = Node(with_timers(turn.state), ledger, node, move, turn.events)
            self.nodes.append(reached)
            self._waiting.append(reached)
        if node is not None:
            node.next.append((move, reached))
            if node.state.status is Status.RUNNING and reached.state.status in _BACKWARDS:
                self.turned_back.append((move, turn.events, reached))

    def _turn(self, move: Move) -> Turn:
        """Decide; raises `DecidesTwice` where the same again, as after a crash, leads to more."""
        turn = self._decide(self._definition, self._id, move.state, move.given, move.now, "check")
        again = self._decide(self._definition, self._id, turn.state, move.given, turn.now, "check").events
        if again:
            raise DecidesTwice(
                "expected nothing when it is told the same once more, as after a crash; "
                f"got {', '.join(event.type for event in again)}"
            )
        return turn


def _ledger(plan: Definition) -> Ledger:
    """An empty one that knows every step, so that those that go on from it share what never changes."""
    ledger = Ledger()
    for step in plan.steps:
        ledger.step(step.name)
    return ledger


def _steps(events: Sequence[e.SagaEvent]) -> Iterator[str]:
    return (event.step for event in events if isinstance(event, e.OfStep | e.SagaReopened))
