"""A command as it arrives: the headers that the promises need, read from a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amends.domain import wire
from amends.domain.wire import Direction
from amends.infrastructure.letters import headers_size
from amends.infrastructure.ports import Incoming
from amends.participant.answers import MOST_HEADERS
from amends.participant.errors import Undecodable

_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Request:
    """One command message. `subject` has no namespace; `forward_key` is the row that it is about.

    `opened` is when the round of `forward_key` began.
    """

    command_id: str
    subject: str
    direction: Direction
    key: str
    forward_key: str
    opened: datetime
    expires: datetime | None
    message: Incoming


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be handled, and why."""

    message: Incoming
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A request, and the subject of the forward command that its key belongs to."""

    request: Request
    action: str


def read(message: Incoming, namespace: str) -> Request:
    """Read a command's headers. Raises `Undecodable`, naming the header that is missing or malformed."""
    headers = message.headers
    ensure_copyable(headers)
    direction = _direction(headers)
    key = _identifier(headers, wire.IDEMPOTENCY_KEY)
    forward = direction is Direction.FORWARD
    opened = time_of(headers, wire.KEY_OPENED)
    if opened is None:
        raise Undecodable(
            f"expected the header {wire.KEY_OPENED} with the time when the key's round began; it is missing"
        )
    return Request(
        command_id=_identifier(headers, wire.CE_ID),
        subject=subject_of(message, namespace),
        direction=direction,
        key=key,
        forward_key=key if forward else _identifier(headers, wire.FORWARD_KEY),
        opened=opened,
        # Only forward commands expire: giving up on undoing or closing would help nobody.
        expires=time_of(headers, wire.EXPIRES) if forward else None,
        message=message,
    )


def subject_of(message: Incoming, namespace: str) -> str:
    """The command's subject without namespace. Raises `Undecodable` where it is no command's."""
    prefix = wire.command_subject(namespace, "")
    subject = message.subject.removeprefix(prefix)
    if subject == message.subject or subject.count(".") != 1:
        raise Undecodable(f"expected a subject {prefix}<service>.<action>; got {message.subject!r}")
    return subject


def correlated(message: Incoming, namespace: str) -> bool:
    """Whether the sender of an unreadable message can be told so: it has an id and a command's subject."""
    try:
        ensure_copyable(message.headers)
        _identifier(message.headers, wire.CE_ID)
        subject_of(message, namespace)
    except Undecodable:
        return False
    return True


def ensure_copyable(headers: Mapping[str, str]) -> None:
    """Refuse headers that leave no room for an answer, which carries them too. Raises `Undecodable`."""
    size = headers_size(headers)
    if size > MOST_HEADERS:
        raise Undecodable(f"expected headers of at most {MOST_HEADERS} bytes; got {size}")


def _direction(headers: Mapping[str, str]) -> Direction:
    given = headers.get(wire.DIRECTION)
    try:
        return Direction(given or "")
    except ValueError:
        expected = ", ".join(Direction)
        raise Undecodable(
            f"expected the header {wire.DIRECTION} to be one of {expected}; got {given!r}"
        ) from None


def _identifier(headers: Mapping[str, str], name: str) -> str:
    given = headers.get(name)
    if given is None or not _ID.fullmatch(given):
        raise Undecodable(f"expected the header {name} with 1 to 255 visible ASCII characters; got {given!r}")
    return given


def time_of(headers: Mapping[str, str], name: str) -> datetime | None:
    """The time in the header, where there is one. Raises `Undecodable`."""
    given = headers.get(name)
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Undecodable(f"expected the header {name} to be an RFC 3339 time with its offset; got {given!r}")
    return time
