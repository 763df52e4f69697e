"""What a saga is told by messages, by time and by limits."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID

from amends.domain.events import JsonObject
from amends.domain.value import value
from amends.domain.wire import Outcome


@value(frozen=True, slots=True)
class Start:
    """A start event came."""

    message_id: str
    saga_id: UUID
    namespace: str
    key: str
    subject: str
    payload: JsonObject
    trace: str = ""


@value(frozen=True, slots=True)
class Reply:
    """A service answered. `claims` are what the reply says of the command, to be compared with the record."""

    message_id: str
    command_id: UUID
    outcome: Outcome
    body: bytes = b""
    code: str = ""
    reason: str = ""
    details: Any = None
    retry_after: float | None = None
    trace: str = ""
    claims: tuple[tuple[str, str], ...] = field(default=())


@value(frozen=True, slots=True)
class Arrival:
    """An event came that a saga listens to."""

    message_id: str
    subject: str
    body: bytes
    trace: str = ""


@value(frozen=True, slots=True)
class Tick:
    """Time has passed: apply what is due, but nothing due after `until`, where it is given.

    A timeout must not overtake an event that the broker received before it fell due.
    """

    until: datetime | None = None
    message_id: str = "timer"
    trace: str = ""


@value(frozen=True, slots=True)
class Admit:
    """The limits of its service allow a held command to leave."""

    command_id: UUID
    message_id: str = "limits"
    trace: str = ""
