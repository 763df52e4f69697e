"""Sagas, rows and messages to put into a store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.events import SagaEvent
from amends.domain.history import Recorded
from amends.infrastructure.ports import Commit, DeadLetter, Held, Incoming, Outgoing, SagaRow

NOW: Final = datetime.now(UTC)
SECOND: Final = timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)
HELD_HERE: Final = [("order", 1)]


def started(key: str = "o1", deadline: datetime | None = None, saga: str = "order") -> SagaAggregate:
    """A new saga with its first event. Its wake-up is the deadline."""
    aggregate = SagaAggregate(uuid4())
    start = e.SagaStarted(
        at=NOW, cause="m1", by="w1", saga=saga, definition=1, namespace="test", key=key,
        subject="orders.placed", start={"order_id": key, "note": "ünïcode \u0000"}, deadline=deadline,
    )  # fmt: skip
    aggregate.append([start])
    return aggregate


def skipped(step: str = "reserve") -> SagaEvent:
    return e.StepSkipped(at=NOW, cause="m2", by="w1", step=step)


def released() -> SagaEvent:
    return e.SagaReleased(at=NOW, cause="m4", by="ann", reason="mended")


def completed() -> SagaEvent:
    return e.SagaCompleted(at=NOW, cause="m3", by="w1")


def row(aggregate: SagaAggregate, expected: int) -> SagaRow:
    state = aggregate.state
    assert state is not None
    return SagaRow(
        aggregate.id, state.saga, state.definition, state.key, state.status, aggregate.version, expected,
        state.wake_up,
    )  # fmt: skip


def batch(*sagas: tuple[SagaAggregate, int], outbox: Sequence[tuple[UUID | None, Outgoing]] = ()) -> Commit:
    """The commit of sagas, each with the version expected in the store."""
    return Commit([each for each, _ in sagas], [row(each, expected) for each, expected in sagas], outbox)


def new(*aggregates: SagaAggregate) -> Commit:
    return batch(*((each, 0) for each in aggregates))


def outgoing(message_id: str = "c1", body: bytes = b"{}") -> Outgoing:
    return Outgoing(message_id, "test.inventory.reserve", {"ce-id": message_id, "note": "ü"}, body)


def incoming(body: bytes = b'{"order_id": "o1"}') -> Incoming:
    return Incoming(
        "test.orders.placed", {"ce-id": "m1", "note": "\u0000 ü"}, body, NOW, 7, consumer="starts"
    )


def dead(message_id: str = "m1", reason: str = "not JSON") -> DeadLetter:
    return DeadLetter(incoming(), message_id, "starts", reason)


def held(message_id: str, saga_id: UUID | None = None, *, why: str = "version", definition: int = 1) -> Held:
    return Held(incoming(), message_id, saga_id, "order", definition, why, f"error of {message_id}")


UNHEARD_OF: Final = "saga.unheard-of:1"
"""What a newer program may record: this one does not know the type."""


def recorded_as(saga: SagaAggregate, *, topic: str = "", stored: bytes = b"") -> SagaAggregate:
    """The saga, whose latest new event is stored with another type, or other bytes."""
    *others, last = saga.collect_events()
    other = Recorded(
        last.originator_id, last.originator_version, topic or last.topic, stored or last.stored, last.event
    )
    saga._pending = [*others, other]
    return saga
