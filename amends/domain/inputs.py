"""What a saga can be told: the inputs of `decide`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from amends.domain.events import JsonObject
from amends.domain.wire import Outcome


@dataclass(frozen=True, slots=True)
class Start:
    """A start event came."""

    message_id: str
    saga_id: UUID
    namespace: str
    key: str
    subject: str
    payload: JsonObject
    trace: str = ""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: apply what is due, but nothing due after `until`, where it is given.

    A timeout must not overtake an event that the broker received before it fell due.
    """

    until: datetime | None = None
    message_id: str = "timer"
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants the saga undone, and says why."""

    message_id: str
    reason: str
    trace: str = ""


Input: TypeAlias = Start | Reply | Tick | Cancel
