"""From recorded events to the messages that they imply: commands, and what becomes of sagas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, cast

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain import wire
from amends.domain.history import Recorded
from amends.domain.state import Attempt, Round, SagaState
from amends.domain.wire import Direction
from amends.infrastructure.headers import Headers, template
from amends.infrastructure.letters import header
from amends.infrastructure.ports import Outgoing

_LONGEST: Final = 1000
"""Characters of a reason that a message tells; the history has it whole."""

MILESTONES: Final[dict[type[e.SagaEvent], str]] = {
    e.SagaStarted: "started",
    e.CompensationStarted: "compensating",
    e.CommandParked: "parked",
    e.WaitParked: "parked",
    e.SagaCompleted: "completed",
    e.SagaCompensated: "compensated",
    e.SagaReopened: "reopened",
    e.SagaSuspended: "suspended",
    e.SagaResumed: "resumed",
    e.SagaFailed: "failed",
    e.SagaMigrated: "migrated",
}
"""The events that are told on `ns.saga.<type>.<milestone>`."""

_COMMANDS: Final = frozenset({e.CommandRecorded, e.CommandReleased})

_TOLD: Final = {
    kind: tuple(name for name in ("step", "reason") if name in kind.model_fields) for kind in MILESTONES
}
"""What a milestone's message tells of its event."""

_SAGA: Final = template(
    wire.CE_SPECVERSION, wire.CE_SOURCE, wire.CE_SUBJECT, wire.SAGA_ID, wire.SAGA, wire.KEY
)
_TRACE: Final = template(wire.TRACEPARENT)
_MESSAGE: Final = template(wire.CE_ID, wire.CE_TYPE, wire.CE_TIME)
_COMMAND: Final = template(
    wire.STEP, wire.DIRECTION, wire.ROUND, wire.ATTEMPT, wire.IDEMPOTENCY_KEY, wire.KEY_OPENED
)
_FORWARD_KEY: Final = template(wire.FORWARD_KEY)
_EXPIRES: Final = template(wire.EXPIRES)
_VERSION: Final = template(wire.VERSION)


def messages(state: SagaState, recorded: Sequence[Recorded]) -> Iterator[Outgoing]:
    """What must be published because of these events; `state` is the state after them."""
    for item in recorded:
        kind = type(item.event)
        if kind in _COMMANDS:
            yield from _leaving(state, item.event)
        elif kind in MILESTONES:
            yield milestone(state, item)
            if kind is e.SagaResumed:
                yield from (published(state, each) for each in state.handlers.withheld)
        elif kind is e.EventPublished and not state.suspended:
            yield published(state, cast("e.EventPublished", item.event))


def _leaving(state: SagaState, event: e.SagaEvent) -> Iterator[Outgoing]:
    """The command, unless it is held."""
    assert isinstance(event, e.CommandRecorded | e.CommandReleased)
    if isinstance(event, e.CommandReleased) or not event.held:
        round_ = state.step(event.step).line(event.direction).rounds[event.round - 1]
        yield command(state, event.step, event.direction, round_, round_.attempts[event.attempt - 1])


def outstanding(state: SagaState, suffix: str) -> Iterator[Outgoing]:
    """Every command of the saga that is still unanswered, to be sent again because the broker lost it.

    `suffix` makes the broker take it for a new message although its `ce-id` is the old one.
    """
    for step, direction, line in state.active():
        attempt = line.in_flight
        if attempt is not None:
            yield command(state, step.name, direction, line.rounds[-1], attempt, suffix)


def command(
    state: SagaState, step: str, direction: Direction, round_: Round, attempt: Attempt, suffix: str = ""
) -> Outgoing:
    """The message that carries this attempt."""
    message_id = wire.identifier(attempt.command_id)
    plain_step = header(step)
    lines = _lines(state, message_id, round_.subject, attempt.sent) + _COMMAND % (
        plain_step,
        direction,
        round_.number,
        attempt.number,
        wire.identifier(round_.key),
        wire.timestamp(_opened(state, step, round_)),
    )
    if round_.forward_key is not None:
        lines += _FORWARD_KEY % wire.identifier(round_.forward_key)
    if direction is Direction.FORWARD:
        lines += _EXPIRES % wire.timestamp(attempt.expires)
    headers: Mapping[str, str] = Headers(lines.encode())
    if step != plain_step:
        headers = {**headers, wire.STEP: step}  # whether it can travel is seen where it is to
    return Outgoing(
        message_id=message_id,
        subject=wire.command_subject(state.namespace, round_.subject),
        headers=headers,
        body=to_json(round_.payload),
        deduplication_id=message_id + suffix,
    )


def published(state: SagaState, event: e.EventPublished, suffix: str = "") -> Outgoing:
    """The message that carries an event which the saga published; `suffix` as in `outstanding`."""
    message_id = wire.identifier(event.message_id)
    return Outgoing(
        message_id=message_id,
        subject=wire.event_subject(state.namespace, event.subject),
        headers=Headers(_lines(state, message_id, event.subject, event.at).encode()),
        body=to_json(event.event),
        deduplication_id=message_id + suffix,
    )


def milestone(state: SagaState, recorded: Recorded, suffix: str = "") -> Outgoing:
    """The message that tells what became of the saga by this event; `suffix` as in `outstanding`."""
    event = recorded.event
    message_id = f"{state.id_text}-{recorded.originator_version}"
    name = MILESTONES[type(event)]
    body: e.JsonObject = {"milestone": name}
    for field in _TOLD[type(event)]:
        body[field] = getattr(event, field)[:_LONGEST]
    lines = _lines(state, message_id, f"{state.saga}.{name}", event.at)
    lines += _VERSION % recorded.originator_version
    return Outgoing(
        message_id=message_id,
        subject=wire.saga_subject(state.namespace, state.saga, name),
        headers=Headers(lines.encode()),
        body=to_json(body),
        deduplication_id=message_id + suffix,
    )


def _opened(state: SagaState, step: str, round_: Round) -> datetime:
    """When the key was opened that the participant remembers the command by: the forward key's round."""
    if round_.forward_key is None:
        return round_.opened
    return next(r.opened for r in state.step(step).forward.rounds if r.key == round_.forward_key)


def _lines(state: SagaState, message_id: str, kind: str, at: datetime) -> str:
    """The headers that every message of the saga has."""
    saga = _saga_lines(state.namespace, state.saga, state.definition, state.id_text, state.key, state.trace)
    return saga + _MESSAGE % (message_id, kind, wire.timestamp(at))


@lru_cache(maxsize=10_000)  # every saga has half a dozen messages and more
def _saga_lines(namespace: str, saga: str, definition: int, saga_id: str, key: str, trace: str) -> str:
    """The headers that are the same on all messages of the saga."""
    # A header is a line of ASCII without blanks at its ends; a key may be anything.
    named = ("1.0", f"/amends/{namespace}/{saga}", saga_id, saga_id, f"{saga}@{definition}", header(key))
    return _SAGA % named + (_TRACE % header(trace) if trace else "")
