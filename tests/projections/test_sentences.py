"""The audit trail says in SQL, word for word, what `amends history` says in Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from amends.domain import events as e
from amends.domain.history import record
from amends.domain.wire import Direction, Outcome
from amends.projections.story import sentence
from tests.projections.conftest import Place

AT: Final = datetime(2026, 11, 21, 8, 0, 0, 123999, tzinfo=UTC)
KEY: Final = UUID(int=7)

FIELDS: Final[dict[str, Any]] = {
    "at": AT, "cause": "m-1", "by": "ann", "trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "saga": "order", "definition": 1, "namespace": "test", "key": "o'1", "subject": "payments.charge", "start": {},
    "reason": "it's why", "step": "charge", "name": "later", "value": "p-1", "due": AT + timedelta(days=1),
    "event": {}, "message_id": "m-0", "payload": {}, "timeout": timedelta(1), "subjects": ("a.b", "c.d"),
    "command_id": KEY, "reply_subject": "x", "expires": AT, "recorded": "rejected", "came": "succeeded",
    "outcome": Outcome.SUCCEEDED, "effects": ("ship", "pay"), "round": 1, "attempt": 1,
    "unresolved": (
        e.UnresolvedKey(step="ship", direction=Direction.COMPENSATE, key=KEY),
        e.UnresolvedKey(step="pay", direction=Direction.FORWARD, key=KEY),
    ),
    "retry": e.RetryPolicy(attempts=1, delay=timedelta(0), factor=1, cap=timedelta(0), slow=timedelta(0)),
}  # fmt: skip


def of(kind: type[e.SagaEvent], **more: Any) -> e.SagaEvent:
    """An event of this type, whatever fields it has."""
    fields = {name: value for name, value in FIELDS.items() if name in kind.model_fields}
    if kind.model_fields.get("key") and kind is not e.SagaStarted:
        fields["key"] = KEY
    if kind is e.EventPublished:
        fields["message_id"] = KEY
    return kind(**(fields | more))


VARIANTS: Final[dict[str, list[dict[str, Any]]]] = {
    "command.recorded": [
        {"direction": d, "round": r, "attempt": a, "held": held}
        for d in Direction
        for r, a, held in ((2, 1, True), (1, 3, False))
    ],
    "command.released": [{"direction": Direction.COMPENSATE, "attempt": 2}],
    "command.withdrawn": [{"direction": Direction.CLOSE, "attempt": 2}],
    "command.succeeded": [{"direction": Direction.CLOSE, "round": 2, "attempt": 2}],
    "command.rejected": [{"direction": d, "code": "c", "reason": r} for d in Direction for r in ("", "no")]
    + [{"reason": "", "code": ""}],
    "command.failed": [{"direction": Direction.COMPENSATE, "attempt": 4, "reason": "", "code": "busy"}],
    "timer.rescheduled": [{"step": ""}, {"direction": Direction.COMPENSATE}],
    "timer.cancelled": [{"step": ""}],
    "command.parked": [{"stops": True}],
    "saga.failed": [{"effects": (), "unresolved": ()}],
}


async def test_every_event_is_told_in_the_same_words(place: Place) -> None:
    events = [
        of(kind, **more) for name, kind in e.EVENT_TYPES.items() for more in ({}, *VARIANTS.get(name, []))
    ]
    for event in events:
        stored = record(uuid4(), 1, "", event)
        await place.query(
            "INSERT INTO test.events (originator_id, originator_version, topic, state) VALUES (%s, 1, %s, %s)",
            stored.originator_id, stored.topic, stored.stored,
        )  # fmt: skip
    rows = await place.query("SELECT * FROM test_views.audit ORDER BY notification_id")
    assert [row["sentence"] for row in rows] == [sentence(event) for event in events]
    assert {(row["by"], row["causation_id"], row["at"]) for row in rows} == {("ann", "m-1", AT)}
    assert {row["trace_id"] for row in rows} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
