"""Watches every commit, every message and every acknowledgement of a simulation for broken invariants.

The numbers are those of docs/semantics.md. What one saga's history must be like is told in
`amends.testing.invariants`; here stands what holds between histories, messages and services.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from amends.domain import events as e
from amends.domain import wire
from amends.domain.correlation import Missing
from amends.domain.decide import take_turn
from amends.domain.errors import AmendsError
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.ports import Commit, Incoming, Outgoing
from amends.participant.consumers import REACTIONS
from amends.participant.requests import Claim
from amends.process_managers.registry import Registry
from amends.process_managers.routing import REPLIES, START, Routed, message_id, route
from amends.testing.invariants import Deed, Fact, of_effects
from amends.testing.programs import FOREIGN
from amends.testing.simulation.chains import ChainWatch
from amends.testing.simulation.record import Record

_Place: TypeAlias = tuple[UUID, str, Direction, int, int]
"""A saga, a step, a direction, a round and an attempt."""


class Watch:
    """What is known of all sagas of a simulation, and what was found broken.

    `chains` watches the services of choreographies.
    """

    def __init__(self, registry: Registry, namespace: str) -> None:
        self.registry = registry
        self.namespace = namespace
        self.keeps: Callable[[str], bool] = lambda _: False
        """Whether a message lies among the store's dead letters or held messages."""
        self.answered: Callable[[str], bool] = lambda _: True
        """Whether the answer to a command is committed."""
        self.has_done: Callable[[str, str], bool] = lambda thing, key: False
        """Whether a foreign service has done a thing for a key."""
        self.broken: list[str] = []
        self.chains = ChainWatch(namespace, self.broken)
        self.records: dict[UUID, Record] = {}
        self.facts: dict[UUID, list[Fact]] = {}
        self.one_clock = True
        """Whether broker and database have agreed about the time so far."""
        self.events: Counter[str] = Counter()
        """How many events of each type were recorded."""
        self._commands: dict[str, tuple[UUID, e.CommandRecorded]] = {}
        self._held: dict[_Place, e.CommandRecorded] = {}
        self._actions: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        self._published: set[str] = set()
        self._unhandled: dict[UUID, dict[str, datetime]] = {}
        self._trace = sha256()

    @property
    def trace(self) -> str:
        """A hash over all that was recorded and published so far, in its order."""
        return self._trace.hexdigest()

    # What the store was told

    def committed(self, commit: Commit, recorded: Mapping[UUID, Sequence[Any]]) -> None:
        """These events were saved, by saga; all others of the commit were not, because of a conflict."""
        states = {aggregate.id: aggregate.state for aggregate in commit.aggregates}
        rows = {row.saga_id: row for row in commit.rows}
        for saga_id, events in recorded.items():
            record = self._record(saga_id)
            self._note_timeouts(record, events)
            self.broken += record.add(events)
            for item in events:
                self._note(saga_id, item.event)
                self.chains.decided(record, item.event)
                self._trace.update(item.digest.encode())
            self.broken += record.compare(states[saga_id], rows[saga_id].wake_up)
            self.events.update(item.event.type for item in events)

    def _record(self, saga_id: UUID) -> Record:
        if saga_id not in self.records:
            self.records[saga_id] = Record(saga_id, self.registry.get)
        return self.records[saga_id]

    def _note(self, saga_id: UUID, event: e.SagaEvent) -> None:
        self._unhandled.get(saga_id, {}).pop(event.cause, None)
        if isinstance(event, e.CommandReleased):
            held = self._held.pop(_place(saga_id, event))
            self._commands[str(held.command_id)] = (saga_id, held)
        elif isinstance(event, e.CommandRecorded):
            if event.held:
                self._held[_place(saga_id, event)] = event
            else:
                self._commands[str(event.command_id)] = (saga_id, event)
            if event.direction is Direction.FORWARD:
                self._actions[str(event.key)] = event.subject
        elif isinstance(event, e.EventPublished):
            self._published.add(str(event.message_id))
        elif isinstance(event, e.SagaMigrated):
            renamed = {_renamed(place, saga_id, event): held for place, held in self._held.items()}
            self._held = renamed

    def _note_timeouts(self, record: Record, events: Sequence[Any]) -> None:
        """Whether an answer is passed over that came before the attempt's time was over."""
        causes = {item.event.cause for item in events}
        unhandled = self._unhandled.get(record.id, {})
        for event in (item.event for item in events if isinstance(item.event, e.CommandTimedOut)):
            due = record.expiry(event)
            late = [each for each, at in unhandled.items() if at < due and each not in causes]
            if late and self.one_clock:
                self.broken.append(f"15: {event.step} of {record.name} timed out before {late[0]} is handled")

    # What the broker was told

    def stored(self, message: Outgoing, now: datetime) -> None:
        """The broker stored this message."""
        self._trace.update(f"{message.subject} {message.message_id}".encode())
        if message.subject.startswith(f"{self.namespace}.cmd."):
            self._of_command(message)
        elif wire.OUTCOME in message.headers:
            self._of_answer(message, now)
        elif message.subject.startswith(wire.event_subject(self.namespace, "")):
            self._of_event(message)

    def lost(self, message: Incoming | Outgoing) -> None:
        """The broker lost it again."""
        if saga := message.headers.get(wire.SAGA_ID):
            self._unhandled.get(UUID(saga), {}).pop(message.headers.get(wire.CE_ID, ""), None)

    def lost_all(self) -> None:
        """The broker lost all events."""
        self._unhandled.clear()

    def action(self, forward_key: str) -> str:
        """The subject of the forward command that opened this key."""
        return self._actions[forward_key]

    def _of_command(self, message: Outgoing) -> None:
        known = self._commands.get(message.headers[wire.CE_ID])
        if known is None:
            self.broken.append(f"10: {message.subject} was published without a committed record")
            return
        saga_id, event = known
        first = self.records[saga_id].payload(event)
        told = (
            message.subject == wire.command_subject(self.namespace, event.subject)
            and message.headers[wire.IDEMPOTENCY_KEY] == str(event.key)
            and message.headers[wire.DIRECTION] == event.direction
            and message.body == first
        )
        if not told:
            self.broken.append(f"10: {message.subject} was published otherwise than it is recorded")

    def _of_event(self, message: Outgoing) -> None:
        self.chains.stored(message)
        if wire.SAGA_ID in message.headers and message.message_id not in self._published:
            self.broken.append(f"10: {message.subject} was published without a committed record")

    def _of_answer(self, message: Outgoing, now: datetime) -> None:
        saga_id, command = UUID(message.headers[wire.SAGA_ID]), message.headers[wire.CAUSATION_ID]
        self._unhandled.setdefault(saga_id, {})[message.message_id] = now
        outcome, known = message.headers[wire.OUTCOME], self._commands.get(command)
        if known is None or outcome == Outcome.FAILED:
            return
        event = known[1]
        closing = event.direction is Direction.CLOSE
        key = str(event.forward_key if closing else event.key)
        if self._answers.setdefault(key, outcome) != outcome:
            self.broken.append(
                f"2: key {key} of {event.step} was answered {self._answers[key]} and {outcome}"
            )

    def acknowledged(self, message: Incoming, now: datetime) -> None:
        """A worker acknowledged it: telling the saga again must change nothing. Invariants 11 and 14.

        Where a participant did, its answer must be committed; a foreign service owes nobody anything.
        """
        if message.consumer == FOREIGN:
            return
        if message.consumer.startswith(REACTIONS):
            self.chains.acknowledged(message)
            return
        if not message.consumer.startswith((START, REPLIES)):
            if not self.answered(message.headers[wire.CE_ID]):
                self.broken.append(f"11: {message.subject} was acknowledged, and is not answered")
            return
        identity = message_id(message)
        try:
            routed = route(message, self.registry, self.namespace, self.registry.types)
            undone = (
                isinstance(routed, Routed)
                and not self._is_ignored(routed)
                and self._would_change(routed, now)
            )
        except (AmendsError, ArithmeticError, LookupError, TypeError, ValueError):
            undone = True  # it cannot be handled, and must be kept
        if undone and not self.keeps(identity):
            self.broken.append(f"11: {message.subject} {identity} was acknowledged, and is nowhere")
        self.lost(message)

    def _is_ignored(self, routed: Routed) -> bool:
        """Whether it may be nowhere: nobody waits for it, or only a key that was learnt on the way tells its saga.

        The answer of a foreign service may not, once its saga has begun.
        """
        if routed.sought is not None or routed.correlation is None:
            return routed.sought is not None
        record = self.records.get(routed.saga_id)
        asked = record is not None and record.plan.asks(routed.correlation.event.subject) is not None
        return routed.correlation.missing is Missing.IGNORE and not asked

    def _would_change(self, routed: Routed, now: datetime) -> bool:
        record = self.records.get(routed.saga_id)
        definition = record.definition if record else self.registry.newest(routed.saga)
        state = record.state if record else None
        return bool(take_turn(definition, routed.saga_id, state, routed.given, now, "watch").events)

    # What the services did

    def served(self, claims: Sequence[Claim], facts: Sequence[Fact]) -> None:
        """A service committed these effects, for these commands among others."""
        touched = {fact.key: None for fact in facts}
        for fact in facts:
            self.facts.setdefault(fact.key, []).append(fact)
        for claim in claims:
            key = UUID(claim.request.forward_key)
            known = self.facts.setdefault(key, [])
            if claim.request.direction is not Direction.FORWARD and not known:
                known.append(Fact(key, Deed.BURIED))
        for key in touched:
            deeds = [fact.deed for fact in self.facts[key]]
            done, undone = deeds.count(Deed.DONE), deeds.count(Deed.UNDONE)
            if done > 1 or undone > done:
                self.broken.append(f"1: key {key} took effect {done} times and was undone {undone} times")
            if Deed.BURIED in deeds and done:
                self.broken.append(f"2: key {key} took effect after its tombstone")

    # The end

    def ended(self, *, quiet: bool) -> None:
        """Between histories and effects: invariants 3 to 5, and whether the bytes of each history chain."""
        for record in self.records.values():
            facts = [fact for key in record.keys for fact in self.facts.get(key, ())]
            broken = [*of_effects(record.plan, record.history, facts, quiet=quiet), *self._abroad(record)]
            self.broken += [f"{each} ({record.name})" for each in broken]
        self.chains.ended(self.records.values())

    def _abroad(self, record: Record) -> Iterator[str]:
        """Invariants 3 and 4 for foreign services: what they did, and did not undo."""
        assert record.state is not None
        for step in record.plan.steps:
            known = record.ledger.step(step.name)
            if step.forward.foreign is None or known.skipped:
                continue
            done = self.has_done(step.forward.commands[0].subject, record.state.key)
            if record.ledger.status == "completed" and not done:
                yield f"3: completed, and {step.name} was not done abroad"
            excepted = known.passed_over or known.by_hand
            if record.ledger.status == "compensated" and step.compensation and done and not excepted:
                yield f"4: compensated, and {step.name} is still done abroad"


def _place(saga_id: UUID, event: e.OfCommand) -> _Place:
    return saga_id, event.step, event.direction, event.round, event.attempt


def _renamed(place: _Place, saga_id: UUID, event: e.SagaMigrated) -> _Place:
    """Where the command stands after the migration of this saga."""
    owner, step, direction, round_, attempt = place
    return place if owner != saga_id else (owner, event.steps.get(step, step), direction, round_, attempt)
