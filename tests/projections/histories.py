"""Histories of all kinds of sagas, to be taken in by projections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from amends.domain import events as e
from amends.domain.wire import Direction
from tests.projections.conftest import Place

AT: Final = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
UNDO: Final = Direction.COMPENSATE


def _identity(*parts: object) -> UUID:
    return uuid5(NAMESPACE_URL, " ".join(map(str, parts)))


class Scribe:
    """Writes the history of one saga, a second for each event."""

    def __init__(self, key: str, saga: str = "order") -> None:
        self.key = key
        self.id = _identity(saga, key)
        self.events: list[e.SagaEvent] = []
        self.write(
            e.SagaStarted, saga=saga, definition=1, namespace="test", key=key, subject="orders.placed",
            start={"note": f"ü {key}"}, deadline=AT + timedelta(days=1),
        )  # fmt: skip

    def write(self, kind: type[e.SagaEvent], **fields: Any) -> Scribe:
        at = AT + SECOND * len(self.events)
        self.events.append(kind(at=at, cause=f"m-{len(self.events)}", by="w1", **fields))
        return self

    def ask(self, step: str, attempt: int = 1, **more: Any) -> Scribe:
        due = AT + SECOND * (len(self.events) + 60)
        facts: dict[str, Any] = {"attempt": attempt, "payload": {} if attempt == 1 else None}
        ids = _identity(self.key, step, more.get("direction"), attempt)
        return self.write(
            e.CommandRecorded, step=step, command_id=ids, key=ids, subject=f"service.{step}", reply_subject="x",
            expires=due, **(facts | more),
        )  # fmt: skip

    def done(self, step: str, **more: Any) -> Scribe:
        return self.write(e.CommandSucceeded, step=step, **more)


def completed(key: str) -> Scribe:
    return Scribe(key).ask("charge").done("charge").ask("ship").done("ship").write(e.SagaCompleted)


def compensated(key: str) -> Scribe:
    scribe = Scribe(key).ask("charge").done("charge").ask("ship")
    scribe.write(e.CommandRejected, step="ship", reason="no carrier").write(
        e.StepGivenUp, step="ship", reason="no"
    )
    scribe.write(e.CompensationStarted, reason="ship: no carrier").ask("charge", direction=UNDO)
    return scribe.done("charge", direction=UNDO).write(e.SagaCompensated)


def retried(key: str) -> Scribe:
    scribe = Scribe(key).ask("charge").write(e.CommandTimedOut, step="charge")
    scribe.write(e.RetryScheduled, step="charge", attempt=2, due=AT + 99 * SECOND).ask("charge", 2)
    return scribe.write(e.CommandParked, step="charge", attempt=2, reason="no answer")


def waiting(key: str) -> Scribe:
    scribe = Scribe(key).write(
        e.WaitStarted, step="approve", subjects=("boss.said",), due=AT + timedelta(days=2)
    )
    return scribe.write(e.SagaSuspended, reason="an outage")


def sagas(count: int) -> list[Scribe]:
    """So many sagas of all kinds."""
    kinds = (completed, compensated, retried, waiting)
    return [kinds[number % len(kinds)](f"o-{number:04}") for number in range(count)]


def mingled(scribes: list[Scribe]) -> Iterator[tuple[UUID, e.SagaEvent]]:
    """Their events, taking turns: as where many sagas run at once."""
    each = ([(scribe.id, event) for event in scribe.events] for scribe in scribes)
    return (found for found in chain.from_iterable(zip_longest(*each)) if found is not None)


async def write(place: Place, scribes: list[Scribe]) -> None:
    """Record all of it, in a few commits."""
    events = list(mingled(scribes))
    for begin in range(0, len(events), 500):
        await place.record_many(events[begin : begin + 500])
