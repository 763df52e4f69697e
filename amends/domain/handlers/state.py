"""What handlers decided so far, as a saga in the event-handler style remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from types import MappingProxyType

from amends.domain.events import EventPublished, JsonObject, SendRequested
from amends.domain.seen import Seen
from amends.domain.value import Value, value


@value(frozen=True)
class HandlerState(Value):
    """Empty for a saga of steps. `handled` are the ids of the events that came, in a saga of steps too."""

    model: JsonObject = field(default_factory=dict[str, object])
    sends: tuple[SendRequested, ...] = ()
    timeouts: Mapping[str, datetime] = field(default_factory=lambda: MappingProxyType({}))
    handled: Seen = field(default_factory=Seen)
    keys: frozenset[tuple[str, str]] = frozenset()
    clashes: frozenset[tuple[str, str]] = frozenset()
    published: int = 0
    withheld: tuple[EventPublished, ...] = ()  # decided while it was suspended, and sent when it is resumed
    completing: bool = False
