"""What of a saga counts with the limits of its services, as a commit tells it to the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

from amends.domain import events as e
from amends.domain.state import SagaState
from amends.domain.wire import Direction, service
from amends.infrastructure.limits import LimitedCommand, LimitedSaga

_ENDS: Final[Mapping[type[e.SagaEvent], bool]] = {
    e.CommandSucceeded: False,
    e.CommandRejected: False,
    e.CommandFailed: True,
    e.CommandTimedOut: True,
}
"""The events that end an attempt, and whether they speak against its service."""


def ended(state: SagaState, events: Iterable[e.SagaEvent]) -> dict[UUID, bool]:
    """The limited commands that ended with these events, and which of them speak against their service."""
    found: dict[UUID, bool] = {}
    for event in events:
        if type(event) in _ENDS and isinstance(event, e.OfCommand):
            line = state.step(event.step).line(event.direction)
            attempt = line.rounds[event.round - 1].attempts[event.attempt - 1]
            if attempt.limited:
                found[attempt.command_id] = _ENDS[type(event)]
    return found


def touched(state: SagaState, events: Iterable[e.SagaEvent]) -> set[str]:
    """The services of which something was held, or is out no longer, by these events."""
    return {
        service(state.step(event.step).line(event.direction).rounds[event.round - 1].subject)
        for event in events
        if type(event) in _ENDS or isinstance(event, e.CommandRecorded | e.CommandWithdrawn)
        if isinstance(event, e.OfCommand)
    }


def limited(state: SagaState, failed: Mapping[UUID, bool]) -> LimitedSaga:
    """What the saga has held, or out, and how others ended."""
    return LimitedSaga(state.id, list(_commands(state)), failed, bool(state.suspended))


def _commands(state: SagaState) -> Iterator[LimitedCommand]:
    for _, direction, line in state.active():
        attempt = line.held or line.in_flight
        if attempt is None or not attempt.limited:
            continue
        yield LimitedCommand(
            command_id=attempt.command_id,
            participant=service(line.rounds[-1].subject),
            backwards=direction is not Direction.FORWARD,
            since=attempt.sent,
            expires=None if attempt.held else attempt.expires,
        )
