"""From an event to the reactions that it calls for: each with the row that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from amends.domain import wire
from amends.domain.choreography.republishing import RepublishRequested, republish_subject
from amends.domain.correlation import LONGEST_KEY, NoKey, key_of
from amends.infrastructure.letters import plain
from amends.infrastructure.ports import Incoming
from amends.participant.errors import Undecodable
from amends.participant.handling import decode
from amends.participant.reactions import Reaction, Reactions
from amends.participant.requests import Request, ensure_copyable, time_of

_NEVER_OPENED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the key of a request to publish again was opened: so long ago that asking makes no row."""


@dataclass(frozen=True, slots=True)
class Work:
    """One reaction to one event. `key` is the chain's; `again`: only what is stored is told once more."""

    request: Request
    reaction: Reaction
    key: str
    again: bool = False


def is_event(message: Incoming, namespace: str) -> bool:
    """Whether the message is an event, and no command."""
    return message.subject.startswith(wire.event_subject(namespace, ""))


def read_event(message: Incoming, namespace: str, service: str, reactions: Reactions) -> list[Work]:
    """What the service has to do about an event. Raises `Undecodable`."""
    ensure_copyable(message.headers)
    subject = message.subject.removeprefix(wire.event_subject(namespace, ""))
    if subject == republish_subject(service):
        asked = decode(RepublishRequested, message.body)
        _ensure_storable(asked.key)
        return [
            Work(_request(message, reaction, asked.key, _NEVER_OPENED), reaction, asked.key, again=True)
            for reaction in reactions.to(asked.after)
        ]
    known = reactions.to(subject)
    if not known:
        raise Undecodable(
            f"expected an event that this participant reacts to ({', '.join(reactions.subjects()) or 'none'}); "
            f"got {subject}"
        )
    opened = time_of(message.headers, wire.CE_TIME) or message.received
    found: list[Work] = []
    for reaction in known:
        key = _key(message, reaction)
        found.append(Work(_request(message, reaction, key, opened), reaction, key))
    return found


def _key(message: Incoming, reaction: Reaction) -> str:
    if reaction.key:
        try:
            key = key_of(decode(reaction.event, message.body), reaction.key)
        except NoKey as error:
            raise Undecodable(str(error)) from None
    else:
        key = unquote(message.headers.get(wire.KEY, ""))
        if not 0 < len(key) <= LONGEST_KEY:
            raise Undecodable(
                f"expected the header {wire.KEY} with a key of 1 to {LONGEST_KEY} characters, got {len(key)}"
            )
    _ensure_storable(key)
    return key


def _ensure_storable(key: str) -> None:
    """No database can look for a NUL character. Raises `Undecodable`."""
    if "\x00" in key:
        raise Undecodable(f"expected a key without NUL characters, got {key!r}")


def _request(message: Incoming, reaction: Reaction, key: str, opened: datetime) -> Request:
    return Request(
        command_id=plain(message.headers.get(wire.CE_ID) or str(message.sequence)),
        subject=reaction.subject,
        direction=reaction.direction,
        key=f"{reaction.subject}/{key}",
        forward_key=f"{reaction.forward_action}/{key}",
        opened=opened,
        expires=None,
        message=message,
    )
