"""What a saga tells others without waiting for an answer: the start of another saga, or any event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.messages import Event


class BadEvent(AmendsError):
    """A function returned something other than the event that it declares."""


@dataclass(frozen=True, slots=True)
class Announcing:
    """How an event is made that is to be published; `build` returns None where there is nothing to tell."""

    build: Callable[[Any], Event | None]
    events: tuple[type[Event], ...]

    def event(self, view: Any, where: str) -> Event | None:
        """The event, checked. Raises `BadEvent`."""
        event = self.build(view)
        if event is None or isinstance(event, self.events):
            return event
        expected = " or ".join(kind.__name__ for kind in self.events)
        raise BadEvent(
            f"{where}: expected its function to return {expected} or None, as its annotation says; "
            f"got {type(event).__name__}"
        )

    def shape(self) -> JsonObject:
        """The first of the events as JSON; `others` where there are more."""
        told = [{"type": kind.__name__, "subject": kind.subject} for kind in self.events]
        return {**told[0], "others": told[1:]} if told[1:] else {**told[0]}
