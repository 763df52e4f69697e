"""What one batch decides, before anything of it is saved: pure, apart from the sagas that it was given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.decide import UnknownSaga, take_turn
from amends.domain.definition import Definition, InvalidMessage
from amends.domain.errors import ActionRefused
from amends.domain.events import StartRefused
from amends.domain.inputs import Action, Start, Tick
from amends.domain.replies import Uncorrelated
from amends.infrastructure.ports import Commit, DeadLetter, Held, Incoming, Loaded, Outgoing, SagaRow
from amends.process_managers import outgoing
from amends.process_managers.registry import Registry
from amends.process_managers.routing import Routed

WHERE = "worker"
"""The last part of `ns.dead.<where>` for messages that a worker gave up."""

Told = Routed | Tick | Action
"""What a saga is told in a batch: a message, that time has passed, or what an operator wants."""


@dataclass
class Batch:
    """Collects what the sagas of one batch decide. `told` maps each saga to its inputs, in their order.

    `remembered` are those whose aggregate was not loaded for this batch and may be out of date. What they decide
    counts only where it changes them, because then the commit tells whether they were. Where it does not, the
    saga is `doubtful`: nothing of it is in the commit, and it must be loaded and decided again.
    """

    registry: Registry
    namespace: str
    by: str
    told: Mapping[UUID, Sequence[Told]]
    loaded: Loaded
    remembered: Collection[UUID] = ()
    doubtful: set[UUID] = field(default_factory=set[UUID])
    _aggregates: list[SagaAggregate] = field(default_factory=list[SagaAggregate])
    _rows: list[SagaRow] = field(default_factory=list[SagaRow])
    _outbox: list[tuple[UUID | None, Outgoing]] = field(default_factory=list[tuple[UUID | None, Outgoing]])
    _dead: list[DeadLetter] = field(default_factory=list[DeadLetter])
    _held: list[Held] = field(default_factory=list[Held])
    _quarantined: dict[UUID, str] = field(default_factory=dict[UUID, str])

    def decide(self, published: Collection[str] = ()) -> Commit:
        """Everything that this batch changes; `published` are messages of earlier ones that the broker has."""
        for saga_id, told in self.told.items():
            if saga_id in self.remembered:
                self._decide_remembered(saga_id, told)
            else:
                self._decide_saga(saga_id, told)
        return Commit(
            self._aggregates, self._rows, self._outbox, self._dead, self._held, self._quarantined, published
        )

    def _decide_remembered(self, saga_id: UUID, told: Sequence[Told]) -> None:
        collected: tuple[list[Any], ...] = (
            self._aggregates,
            self._rows,
            self._outbox,
            self._dead,
            self._held,
        )
        before = [len(each) for each in collected]
        self._decide_saga(saga_id, told)
        _, saved, _, buried, held = (len(each) > n for each, n in zip(collected, before, strict=True))
        if not saved or buried or held or saga_id in self._quarantined:
            self.doubtful.add(saga_id)
            self._quarantined.pop(saga_id, None)
            for each, n in zip(collected, before, strict=True):
                del each[n:]

    def bury(self, message: Incoming, message_id: str, reason: str) -> None:
        """Make a dead letter of the message."""
        letter = DeadLetter(message, message_id, WHERE, reason)
        self._dead.append(letter)
        self._outbox.append((None, outgoing.dead(self.namespace, letter)))

    def _decide_saga(self, saga_id: UUID, told: Sequence[Told]) -> None:
        unreadable = self.loaded.unreadable.get(saga_id)
        if saga_id in self.loaded.quarantined or unreadable is not None:
            if unreadable is not None:
                self._quarantined[saga_id] = _text(unreadable)
            self._hold(
                saga_id, told, "quarantine", _text(unreadable) if unreadable else "its saga is in quarantine"
            )
            return
        aggregate = self.loaded.aggregates[saga_id]
        before = aggregate.version
        for position, item in enumerate(told):
            definition = self._definition(aggregate, item)
            if definition is None and not isinstance(item, Action):
                self._hold(
                    saga_id, told[position:], "version", "no worker that took it holds the saga's version"
                )
                break
            try:
                self._apply(aggregate, definition, item)
            except ActionRefused:
                raise
            except Exception as error:
                if isinstance(item, Action):
                    raise ActionRefused(f"its definition failed to decide it: {_text(error)}") from error
                self._quarantined[saga_id] = _text(error)
                self._hold(saga_id, told[position:], "quarantine", _text(error))
                break
        if aggregate.version > before:
            self._save(aggregate, before)

    def _definition(self, aggregate: SagaAggregate, item: Told) -> Definition | None:
        if aggregate.state is not None:
            return self.registry.get(aggregate.state.saga, aggregate.state.definition)
        if isinstance(item, Routed):
            return self.registry.get(item.saga, item.definition) or self.registry.newest(item.saga)
        raise ActionRefused(f"expected a saga {aggregate.id} to exist; none has started under this id")

    def _apply(self, aggregate: SagaAggregate, definition: Definition | None, item: Told) -> None:
        given = item.given if isinstance(item, Routed) else item
        try:
            turn = take_turn(definition, aggregate.id, aggregate.state, given, self.loaded.now, self.by)
        except (Uncorrelated, InvalidMessage, UnknownSaga) as error:
            if not isinstance(item, Routed):
                raise ActionRefused(str(error)) from error
            self.bury(item.message, item.message_id, str(error))
            return
        if not turn.events:
            return
        recorded = aggregate.append(turn.events, turn.state)
        if recorded:
            assert aggregate.state is not None
            self._outbox += [
                (aggregate.id, message) for message in outgoing.messages(aggregate.state, recorded)
            ]
        if isinstance(given, Start) and isinstance(item, Routed):
            refused = next((event for event in turn.events if isinstance(event, StartRefused)), None)
            if refused is not None:
                self.bury(item.message, item.message_id, refused.reason)

    def _save(self, aggregate: SagaAggregate, before: int) -> None:
        state = aggregate.state
        assert state is not None
        self._aggregates.append(aggregate)
        self._rows.append(
            SagaRow(
                saga_id=aggregate.id,
                saga=state.saga,
                definition=state.definition,
                key=state.key,
                status=str(state.status),
                version=aggregate.version,
                expected=before,
                wake_up=state.wake_up,
            )
        )

    def _hold(self, saga_id: UUID, told: Sequence[Told], why: str, error: str) -> None:
        state = self.loaded.aggregates[saga_id].state if saga_id in self.loaded.aggregates else None
        for item in told:
            if isinstance(item, Routed):
                version = state.definition if state else item.definition
                self._held.append(
                    Held(item.message, item.message_id, saga_id, item.saga, version, why, error)
                )


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
