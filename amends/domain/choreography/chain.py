"""A chain of reactions as data: which service publishes which event after which, and what undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from amends.domain.correlation import fields_of
from amends.domain.events import JsonObject
from amends.domain.messages import Event


class Overdue(StrEnum):
    """What becomes of a link whose event does not come in time."""

    FLAG = "flag"
    REPUBLISH = "republish"
    COMPENSATE = "compensate"


@dataclass(frozen=True, slots=True)
class Link:
    """After an event `after`, any of these, the service publishes the event `publishes`.

    `within` is how long that may take; None: as long as the whole chain. A `compensating` link undoes.
    """

    name: str
    after: tuple[type[Event], ...]
    service: str
    publishes: type[Event]
    within: timedelta | None
    overdue: Overdue
    compensating: bool

    def shape(self) -> JsonObject:
        """This link as JSON."""
        return {
            "name": self.name,
            "after": [{"type": event.__name__, "subject": event.subject} for event in self.after],
            "service": self.service,
            "publishes": {"type": self.publishes.__name__, "subject": self.publishes.subject},
            "within": self.within and self.within.total_seconds(),
            "overdue": str(self.overdue),
            "compensating": self.compensating,
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """What an observer expects: links in the order of their declaration, those that undo included.

    `compensate_with` is the event by which the chain is turned back from outside; it is made of the `key` alone.
    """

    key: tuple[str, ...]
    links: tuple[Link, ...]
    compensate_with: type[Event] | None

    @property
    def forward(self) -> Iterator[Link]:
        """The links that lead to the end."""
        return (link for link in self.links if not link.compensating)

    @property
    def compensation(self) -> Iterator[Link]:
        """The links that undo."""
        return (link for link in self.links if link.compensating)

    @property
    def turning(self) -> frozenset[str]:
        """The subjects of the events that turn the chain back: what undoing begins with."""
        begins = {event.subject for link in self.compensation for event in link.after}
        begins |= {self.compensate_with.subject} if self.compensate_with else set[str]()
        return frozenset(begins - {link.publishes.subject for link in self.compensation})

    def link(self, name: str) -> Link:
        """The link of this name."""
        return next(link for link in self.links if link.name == name)

    def compensating_event(self, key: str) -> Event | None:
        """The event by which the chain of this key is turned back; None where the definition names none."""
        if self.compensate_with is None:
            return None
        return self.compensate_with.model_validate(fields_of(key, self.key))

    def shape(self) -> JsonObject:
        """This chain as JSON."""
        event = self.compensate_with
        return {
            "links": [link.shape() for link in self.links],
            "compensate_with": event and {"type": event.__name__, "subject": event.subject},
        }
