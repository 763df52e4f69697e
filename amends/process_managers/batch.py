"""What one batch decides, before anything of it is saved: pure, apart from the sagas that it was given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Final
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.decide import UnknownSaga, take_turn
from amends.domain.definition import InvalidMessage
from amends.domain.errors import ActionRefused, AmendsError, SchemaNotHeld
from amends.domain.events import KeyLearnt, SagaEvent, SagaStarted, StartRefused
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.inputs import Action, Migrate
from amends.domain.replies import Uncorrelated
from amends.domain.state import SagaState
from amends.domain.told import Admit, Arrival, Tick
from amends.infrastructure.limits import WAITS, InForce
from amends.infrastructure.ports import Commit, Held, Incoming, Loaded
from amends.process_managers import limiting, outgoing, unclaimed
from amends.process_managers.draft import Draft
from amends.process_managers.registry import Registry
from amends.process_managers.routing import NOBODY, Routed, Unheard, message_id, saga_of

Told = Routed | Tick | Admit | Action
"""What a saga is told in a batch: a message, that time has passed, that limits let go, or what an operator wants."""

_FOLLOWED: Final = frozenset({StartRefused, KeyLearnt, SagaStarted})
"""The events that mean something for others than their saga."""


@dataclass
class Batch:
    """Collects what the sagas of one batch decide. `told` maps each saga to its inputs, in their order.

    `remembered` are those whose aggregate was not loaded for this batch and may be out of date. What they decide
    counts only where it changes them, because then the commit tells whether they were. Where it does not, the
    saga is `doubtful`: nothing of it is in the commit, and it must be loaded and decided again.

    `refused` are keys that sagas learnt and cannot have; `limits` those in force. `expected` becomes true where early
    events may be for a saga of this batch, or some were kept; `touched` are participants of which limited commands
    were held, or ended.
    """

    registry: Registry
    namespace: str
    by: str
    told: Mapping[UUID, Sequence[Told]]
    loaded: Loaded
    remembered: Collection[UUID] = ()
    refused: Collection[tuple[UUID, LearntKey]] = ()
    limits: InForce = field(default_factory=InForce)
    doubtful: set[UUID] = field(default_factory=set[UUID])
    expected: bool = False
    touched: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._draft = Draft(self.namespace, self.limits)

    def decide(self, published: Collection[str] = ()) -> Commit:
        """Everything that this batch changes; `published` are messages of earlier ones that the broker has."""
        for saga_id, told in self.told.items():
            if saga_id == NOBODY:
                self._unclaimed(told)
            elif saga_id in self.remembered:
                self._decide_remembered(saga_id, told)
            else:
                self._decide_saga(saga_id, told)
        return self._draft.commit(published)

    def quarantine(self, error: Exception) -> Commit:
        """Put all sagas of this batch into quarantine, instead of deciding them."""
        for saga_id, told in self.told.items():
            self._let_go(saga_id, told)
            self._quarantine(saga_id, told, _text(error))
        return self._draft.commit(())

    def stray(self, message: Incoming, reason: str) -> None:
        """Make a dead letter of a message that is for no saga."""
        identity = message_id(message)
        self._draft.let_go(message, identity, saga_of(message), None)
        self._draft.bury(message, identity, reason)

    def unheard(self, event: Unheard, version: int) -> None:
        """Keep an event for a worker with the version that listens to it."""
        unclaimed.unheard(self._draft, event, version)

    def postpone(self, start: Routed) -> None:
        """Keep a start until there is a slot for it."""
        if start.message.held == WAITS:
            return
        self._draft.let_go(start.message, start.message_id, start.saga, None)
        error = f"as many {start.saga} sagas run as may at once"
        self._draft.held.append(
            Held(start.message, start.message_id, start.saga_id, start.saga, start.definition, WAITS, error)
        )

    def _unclaimed(self, told: Sequence[Told]) -> None:
        for item in told:
            assert isinstance(item, Routed)
            unclaimed.unclaimed(self._draft, item, self.loaded.now)
        self.expected = True

    def _decide_remembered(self, saga_id: UUID, told: Sequence[Told]) -> None:
        draft = self._draft
        mark = draft.mark()
        self._decide_saga(saga_id, told)
        if not draft.is_certain(mark):
            self.doubtful.add(saga_id)
            draft.take_back(mark)

    def _decide_saga(self, saga_id: UUID, told: Sequence[Told]) -> None:
        self._let_go(saga_id, told)
        unreadable = self.loaded.unreadable.get(saga_id)
        if isinstance(unreadable, SchemaNotHeld):
            self._draft.ahead.append((saga_id, unreadable.topic))
            self._hold(saga_id, told, "version", str(unreadable))
        elif unreadable is not None:
            self._quarantine(saga_id, told, _text(unreadable))
        elif saga_id in self.loaded.quarantined:
            self._hold(saga_id, told, "quarantine", "its saga is in quarantine")
        else:
            aggregate = self.loaded.aggregates[saga_id]
            before = aggregate.version
            self._tell(aggregate, told)
            if aggregate.version > before:
                self._draft.save(aggregate, before)

    def _let_go(self, saga_id: UUID, told: Sequence[Told]) -> None:
        for item in told:
            if isinstance(item, Routed):
                self._draft.let_go(item.message, item.message_id, item.saga, saga_id)

    def _tell(self, aggregate: SagaAggregate, told: Sequence[Told]) -> None:
        for position, item in enumerate(told):
            if aggregate.state is None and isinstance(item, Routed) and isinstance(item.given, Arrival):
                self._unclaimed([item])
                continue
            definition = self._definition(aggregate, item)
            if definition is None and not isinstance(item, Action | Admit):
                why = "no worker that took it holds the saga's version"
                self._hold(aggregate.id, told[position:], "version", why)
                return
            try:
                self._apply(aggregate, definition, item)
            except ActionRefused:
                raise
            except Exception as error:
                if isinstance(item, Action):
                    raise ActionRefused(f"its definition failed to decide it: {_text(error)}") from error
                self._quarantine(aggregate.id, told[position:], _text(error))
                return

    def _definition(self, aggregate: SagaAggregate, item: Told) -> AnyDefinition | None:
        if aggregate.state is not None:
            version = item.to if isinstance(item, Migrate) else aggregate.state.definition
            return self.registry.get(aggregate.state.saga, version)
        if isinstance(item, Routed):
            return self.registry.get(item.saga, item.definition) or self.registry.newest(item.saga)
        raise ActionRefused(f"expected a saga {aggregate.id} to exist; none has started under this id")

    def _apply(self, aggregate: SagaAggregate, definition: AnyDefinition | None, item: Told) -> None:
        given = item.given if isinstance(item, Routed) else item
        try:
            turn = take_turn(
                definition,
                aggregate.id,
                aggregate.state,
                given,
                self.loaded.now,
                self.by,
                self._refused(aggregate.id),
                self.limits.participants,
            )
        except (Uncorrelated, InvalidMessage, UnknownSaga) as error:
            if not isinstance(item, Routed):
                raise ActionRefused(str(error)) from error
            self._draft.bury(item.message, item.message_id, str(error))
            return
        recorded = aggregate.append(turn.events, turn.state) if turn.events else ()
        if recorded:
            assert aggregate.state is not None
            messages = outgoing.messages(aggregate.state, recorded)
            self._draft.outbox += [(aggregate.id, message) for message in messages]
        if turn.events and turn.state.limited:
            self._draft.failed[aggregate.id] |= limiting.ended(turn.state, turn.events)
            self.touched |= limiting.touched(turn.state, turn.events)
        for event in turn.events:
            if type(event) in _FOLLOWED:
                self._follow(turn.state, definition, item, event)

    def _refused(self, saga_id: UUID) -> Collection[LearntKey]:
        """The keys that this saga cannot have."""
        return [key for owner, key in self.refused if owner == saga_id] if self.refused else ()

    def _follow(
        self, state: SagaState, definition: AnyDefinition | None, item: Told, event: SagaEvent
    ) -> None:
        """What an event means for others than its saga."""
        if isinstance(event, StartRefused) and isinstance(item, Routed):
            self._draft.bury(item.message, item.message_id, event.reason)
        elif isinstance(event, KeyLearnt):
            self._draft.keys.append((state.id, LearntKey(state.saga, event.name, event.value)))
            self.expected = True
        elif isinstance(event, SagaStarted) and definition is not None:
            self.expected |= any(each.parks for each in definition.listens)

    def _quarantine(self, saga_id: UUID, told: Sequence[Told], error: str) -> None:
        self._draft.quarantined.append((saga_id, error))
        self._hold(saga_id, told, "quarantine", error)

    def _hold(self, saga_id: UUID, told: Sequence[Told], why: str, error: str) -> None:
        state = self.loaded.aggregates[saga_id].state if saga_id in self.loaded.aggregates else None
        for item in told:
            if isinstance(item, Routed):
                version = state.definition if state else item.definition
                self._draft.held.append(
                    Held(item.message, item.message_id, saga_id, item.saga, version, why, error)
                )


def _text(error: Exception) -> str:
    """What went wrong; where it is none of our own errors, which say so themselves, with the line of code."""
    text = f"{type(error).__name__}: {error}"
    frames = () if isinstance(error, AmendsError) else extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
