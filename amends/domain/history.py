"""How events become bytes and back: stable names, schema versions, upcasting, and the hash chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from amends.domain.errors import BrokenHistory, SchemaNotHeld, UnreadableEvent
from amends.domain.events import EVENT_TYPES, JsonObject, SagaEvent
from amends.domain.value import value

UPCASTERS: Final[dict[tuple[str, int], Callable[[JsonObject], JsonObject]]] = {}
"""For (name, schema version) of a stored event: the function that brings its JSON to the next version."""


@value(frozen=True, slots=True)
class Recorded:
    """An event in its place: the `version`-th of its saga, as the exact bytes that are stored.

    `topic` is the stable name with the schema version, `saga.started:1`. `originator_id` and
    `originator_version` are the names under which the event-sourcing library knows saga id and version.
    """

    originator_id: UUID
    originator_version: int
    topic: str
    stored: bytes
    event: SagaEvent

    @property
    def digest(self) -> str:
        """The hash that the next event carries: of the stored bytes, and of their place and type."""
        return digest(self.originator_id, self.originator_version, self.topic, self.stored)


def digest(saga_id: UUID, version: int, topic: str, stored: bytes) -> str:
    """SHA-256, hexadecimal, over place, type and bytes; each part is preceded by its length."""
    place = saga_id.bytes + version.to_bytes(8, "big")
    name = topic.encode()
    return hashlib.sha256(place + len(name).to_bytes(4, "big") + name + stored).hexdigest()


def record(saga_id: UUID, version: int, previous: str, event: SagaEvent) -> Recorded:
    """The event, chained to the digest of the one before it."""
    body = event.__pydantic_serializer__.to_json(
        event, exclude_defaults=True
    )  # as `model_dump_json`, in bytes
    # The link is put in front of the event's own JSON; dumping a second model for it would double the cost.
    stored = b'{"previous":"' + previous.encode() + b'",' + body[1:]
    return Recorded(saga_id, version, f"{event.type}:{event.schema_version}", stored, event)


def read(saga_id: UUID, version: int, topic: str, stored: bytes) -> Recorded:
    """The event in these stored bytes, in its newest schema.

    Raises `SchemaNotHeld` where a newer program wrote it, `UnreadableEvent` where it is malformed.
    """
    name, _, schema = topic.partition(":")
    kind = EVENT_TYPES.get(name)
    if kind is None or not schema.isdigit() or int(schema) > kind.schema_version:
        known = f"{name}:{kind.schema_version}" if kind else "no such type"
        raise SchemaNotHeld(_where(saga_id, version), topic, known)
    try:
        if int(schema) == kind.schema_version:
            event = kind.model_validate_json(stored)
        else:
            upcast = _upcast(name, int(schema), kind.schema_version, stored)
            event = kind.model_validate_json(json.dumps(upcast))
    except (ValidationError, ValueError) as error:
        where = _where(saga_id, version)
        raise UnreadableEvent(f"{where}: the stored {topic!r} is not what its type says: {error}") from error
    return Recorded(saga_id, version, topic, stored, event)


def readable_topics(types: Collection[str] = EVENT_TYPES) -> list[str]:
    """The topics of all events that this program can read, of these types."""
    return [
        f"{name}:{schema}"
        for name, kind in EVENT_TYPES.items()
        if name in types
        for schema in range(1, kind.schema_version + 1)
    ]


def previous_of(stored: bytes) -> str:
    """The digest that a stored event names as that of the event before it."""
    return str(json.loads(stored).get("previous", ""))


def verify(history: list[Recorded]) -> None:
    """Raises `BrokenHistory` at the first event that is missing, out of place, or does not chain."""
    previous = ""
    for position, recorded in enumerate(history, start=1):
        where = f"saga {recorded.originator_id}, version {recorded.originator_version}"
        if recorded.originator_version != position:
            raise BrokenHistory(f"{where}: expected version {position} here; an event is missing before it")
        if previous_of(recorded.stored) != previous:
            raise BrokenHistory(f"{where}: its link is not the hash of the event before it; one was changed")
        previous = recorded.digest


def _where(saga_id: UUID, version: int) -> str:
    return f"saga {saga_id}, version {version}"


def _upcast(name: str, schema: int, newest: int, stored: bytes) -> JsonObject:
    event: JsonObject = json.loads(stored)
    for version in range(schema, newest):
        upcaster = UPCASTERS.get((name, version))
        if upcaster is None:
            raise ValueError(f"there is no upcaster from schema version {version}")
        event = upcaster(event)
    return event
