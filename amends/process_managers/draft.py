"""A commit in the making."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.infrastructure.letters import dead_letter
from amends.infrastructure.limits import InForce, LimitedSaga, Slot
from amends.infrastructure.ports import (
    Commit,
    DeadLetter,
    Handled,
    Held,
    Incoming,
    Outgoing,
    SagaRow,
    Unclaimed,
)
from amends.process_managers import limiting

WHERE = "worker"
"""The last part of `ns.dead.<where>` for messages that a worker gave up."""


@dataclass
class Draft:
    """Collects what will be committed together; what was added since a `mark` can be taken back.

    Of a message that comes out of the store's waiting table it is noted that it has been handled, whatever came
    of it; it may be put there again in the same commit. `failed` tells of each saga's limited commands that ended
    whether they failed, or were not answered in time.
    """

    namespace: str
    limits: InForce
    aggregates: list[SagaAggregate] = field(default_factory=list[SagaAggregate])
    rows: list[SagaRow] = field(default_factory=list[SagaRow])
    outbox: list[tuple[UUID | None, Outgoing]] = field(default_factory=list[tuple[UUID | None, Outgoing]])
    dead: list[DeadLetter] = field(default_factory=list[DeadLetter])
    held: list[Held] = field(default_factory=list[Held])
    quarantined: list[tuple[UUID, str]] = field(default_factory=list[tuple[UUID, str]])
    ahead: list[tuple[UUID, str]] = field(default_factory=list[tuple[UUID, str]])
    keys: list[tuple[UUID, LearntKey]] = field(default_factory=list[tuple[UUID, LearntKey]])
    unclaimed: list[Unclaimed] = field(default_factory=list[Unclaimed])
    handled: list[Handled] = field(default_factory=list[Handled])
    limited: list[LimitedSaga] = field(default_factory=list[LimitedSaga])
    slots: list[Slot] = field(default_factory=list[Slot])
    failed: defaultdict[UUID, dict[UUID, bool]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self._lists: tuple[list[Any], ...] = (
            self.rows,
            self.dead,
            self.held,
            self.quarantined,
            self.unclaimed,
            self.aggregates,
            self.outbox,
            self.ahead,
            self.keys,
            self.handled,
            self.limited,
            self.slots,
        )

    def commit(self, published: Collection[str]) -> Commit:
        """All of it."""
        return Commit(
            aggregates=self.aggregates,
            rows=self.rows,
            outbox=self.outbox,
            dead=self.dead,
            held=self.held,
            quarantined=dict(self.quarantined),
            ahead=dict(self.ahead),
            published=published,
            keys=self.keys,
            unclaimed=self.unclaimed,
            handled=self.handled,
            limited=self.limited,
            slots=self.slots,
        )

    def save(self, aggregate: SagaAggregate, before: int) -> None:
        """Save the saga's new events; it had `before` of them."""
        state = aggregate.state
        assert state is not None
        self.aggregates.append(aggregate)
        self.rows.append(
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
        if state.limited:
            self.limited.append(limiting.limited(state, self.failed[state.id]))
        if state.saga in self.limits.types:
            self.slots.append(Slot(state.id, state.saga, state.busy))

    def bury(self, message: Incoming, message_id: str, reason: str) -> None:
        """Make a dead letter of the message."""
        letter = DeadLetter(message, message_id, WHERE, reason)
        self.dead.append(letter)
        self.outbox.append((None, dead_letter(self.namespace, WHERE, message, message_id, reason)))

    def let_go(self, message: Incoming, message_id: str, saga: str, saga_id: UUID | None) -> None:
        """The message has been handled; nothing to note where it comes from the broker."""
        if message.held:
            self.handled.append(Handled(message_id, saga, saga_id))

    def mark(self) -> Sequence[int]:
        """How much there is."""
        return list(map(len, self._lists))

    def is_certain(self, mark: Sequence[int]) -> bool:
        """Whether what was added since shows that its saga is as it was taken to be: once it is saved it does; not so
        what follows from its being so.
        """
        now = self.mark()
        return now[0] > mark[0] and now[1:5] == mark[1:5]

    def take_back(self, mark: Sequence[int]) -> None:
        """Leave what there was at the mark."""
        for each, length in zip(self._lists, mark, strict=True):
            del each[length:]
