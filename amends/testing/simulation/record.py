"""One saga of a simulation: its history as it grows, and two folds of it, made from the stored bytes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.definition import Definition
from amends.domain.evolve import evolve
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.history import Recorded, previous_of, read
from amends.domain.state import SagaState
from amends.domain.wire import Direction
from amends.testing.invariants import of_event, of_ledger_wake_up, of_rest
from amends.testing.ledger import Ledger


class Record:
    """What the events of one saga say. `keys` are the forward keys of its rounds; `version` finds a definition."""

    def __init__(self, saga_id: UUID, version: Callable[[str, int], AnyDefinition | None]) -> None:
        self.id = saga_id
        self._version = version
        self.history: list[Recorded] = []
        self.state: SagaState | None = None
        self.ledger = Ledger()
        self.keys: list[UUID] = []
        self._payloads: dict[tuple[str, Direction, int], bytes] = {}

    @property
    def definition(self) -> AnyDefinition:
        """The version under which it goes on."""
        assert self.state is not None
        definition = self._version(self.state.saga, self.state.definition)
        assert definition is not None
        return definition

    @property
    def name(self) -> str:
        """Its type and key."""
        return f"{self.state.saga} {self.state.key}" if self.state else str(self.id)

    @property
    def plan(self) -> Definition:
        """Its steps, which a handler-style definition makes up as it goes."""
        return self._plan(self.definition)

    def _plan(self, definition: AnyDefinition | None) -> Definition:
        assert definition is not None
        return definition.plan(self.state) if isinstance(definition, ManagerDefinition) else definition

    @property
    def is_settled(self) -> bool:
        """It is over, or waits for a person: nothing will wake it up."""
        assert self.state is not None
        if self.is_over:
            return True
        waits = self.ledger.parked and not (self.stopped or self.ledger.suspended or self.ledger.held)
        return waits and self.state.wake_up is None

    @property
    def is_over(self) -> bool:
        """It came to an end."""
        assert self.state is not None
        return self.state.status.final

    @property
    def called(self) -> list[str]:
        """The steps that wait on for an event, for which a person was called."""
        assert self.state is not None
        return [step.name for step, wait in self.state.waits() if wait.parked]

    @property
    def stopped(self) -> list[tuple[str, Direction]]:
        """What goes on only when a person says how: its timer was cancelled, or its service cannot be asked."""
        assert self.state is not None
        return [(step.name, direction) for step, direction, line in self.state.active() if line.stopped]

    @property
    def awaited(self) -> list[str]:
        """The steps of which an answer, an event or a timer is awaited."""
        assert self.state is not None
        return [
            *(step.name for step, _, _ in self.state.active()),
            *(step.name for step, _ in self.state.waits()),
        ]

    def add(self, recorded: Sequence[Recorded]) -> list[str]:
        """What is broken in some more events, which one commit saved: invariants 6 to 9, 13 and 15."""
        items = [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in recorded]
        for item in items:
            self.state = evolve(self.state, item.event, self.id)
        plans: dict[int, Definition] = {}
        broken = [each for item in items for each in self._add(item, plans)]
        return [f"{each} ({self.name})" for each in broken]

    def _add(self, item: Recorded, plans: dict[int, Definition]) -> Iterator[str]:
        event, last = item.event, self.history[-1] if self.history else None
        assert self.state is not None
        version = self.ledger.definition or self.state.definition  # at this event: a migration may follow
        if version not in plans:
            plans[version] = self._plan(self._version(self.state.saga, version))
        yield from of_event(plans[version], self.ledger, event)
        if item.originator_version != len(self.history) + 1:
            yield f"13: version {item.originator_version} follows {len(self.history)}"
        if previous_of(item.stored) != (last.digest if last else ""):
            yield f"13: version {item.originator_version} does not chain"
        if last is not None and event.at < last.event.at:
            yield "13: time goes back"
        self.history.append(item)
        if isinstance(event, e.CommandRecorded):
            self._command(event)
        elif isinstance(event, e.SagaMigrated):
            for (step, direction, round_), payload in list(self._payloads.items()):
                self._payloads[event.steps.get(step, step), direction, round_] = payload

    def compare(self, live: SagaState | None, wake_up: datetime | None) -> list[str]:
        """What is broken in the worker's own state, and in the wake-up that it saved: invariants 12 and 14."""
        broken = [] if live == self.state else ["14: the live state is not the fold of the stored bytes"]
        assert self.state is not None
        broken += of_ledger_wake_up(self.state, self.ledger)
        broken += of_rest(self.plan, self.ledger)
        if wake_up != self.state.wake_up:
            broken.append(f"12: the store wakes it at {wake_up}, its history says {self.state.wake_up}")
        return [f"{each} ({self.name})" for each in broken]

    def payload(self, event: e.CommandRecorded) -> bytes:
        """The payload of the round that the command belongs to."""
        return self._payloads[event.step, event.direction, event.round]

    def expiry(self, event: e.CommandTimedOut) -> datetime:
        """Until when this attempt's answer is waited for."""
        line = self.ledger.step(event.step).lines[event.direction]
        return line.rounds[event.round - 1].attempts[event.attempt]

    def _command(self, event: e.CommandRecorded) -> None:
        if event.payload is not None:
            self._payloads[event.step, event.direction, event.round] = to_json(event.payload)
            if event.direction is Direction.FORWARD:
                self.keys.append(event.key)
