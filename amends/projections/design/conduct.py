"""What handlers were seen to decide, told from recorded events: in the histories of sagas, or of made-up ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from amends.domain import events as e
from amends.domain.events import JsonObject

Trigger: TypeAlias = tuple[str, str]
"""What calls a handler: `start`, `event`, `rejected` or `timeout`, and the subject or the timeout's name."""

_DECISIONS: Final = (
    e.SendRequested,
    e.EventPublished,
    e.TimeoutRequested,
    e.TimeoutCancelled,
    e.CompletionRequested,
    e.CompensationStarted,
    e.KeyLearnt,
    e.KeyClashed,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that a handler sends, by its name in histories; `undo` is the subject of what undoes it, or empty.

    `timeout` is in seconds.
    """

    name: str
    subject: str
    undo: str
    timeout: float
    attempts: int
    pivot: bool

    @classmethod
    def of(cls, event: e.SendRequested) -> Sent:
        """What was recorded of it."""
        seconds = event.timeout.total_seconds()
        return cls(event.step, event.subject, event.undo_subject, seconds, event.retry.attempts, event.pivot)


@dataclass
class Deeds:
    """What one handler was seen to do, in the order in which it was first seen; `timeouts` in seconds."""

    sends: dict[Sent, None] = field(default_factory=dict[Sent, None])
    publishes: dict[str, None] = field(default_factory=dict[str, None])
    timeouts: dict[str, float] = field(default_factory=dict[str, float])
    turns_back: dict[str, None] = field(default_factory=dict[str, None])
    completes: bool = False

    def add(self, event: e.SagaEvent) -> None:
        """Take one more decision into account."""
        match event:
            case e.SendRequested():
                self.sends[Sent.of(event)] = None
            case e.EventPublished():
                self.publishes[event.subject] = None
            case e.TimeoutRequested():
                self.timeouts[event.name] = (event.due - event.at).total_seconds()
            case e.CompensationStarted():
                self.turns_back[event.reason] = None
            case e.CompletionRequested():
                self.completes = True
            case _:
                pass


class Conduct:
    """What each handler of a process manager did in all that was added; `orders` are the sends of single sagas."""

    def __init__(self, shape: JsonObject) -> None:
        handlers: Iterable[Mapping[str, str]] = shape.get("handlers") or ()
        self._known = {(each["kind"], each.get("subject") or each.get("timeout", "")) for each in handlers}
        self.deeds: dict[Trigger, Deeds] = {}
        self.orders: dict[tuple[Sent, ...], None] = {}

    @property
    def sends(self) -> list[Sent]:
        """Every command that was seen, in the order in which they can be sent."""
        places: dict[Sent, int] = {}
        for order in self.orders:
            for place, sent in enumerate(order):
                places[sent] = min(place, places.get(sent, place))
        return sorted(places, key=places.__getitem__)

    def together(self, one: Sent, other: Sent) -> bool:
        """Some saga sent both."""
        return any(one in order and other in order for order in self.orders)

    def of(self, trigger: Trigger) -> Deeds:
        """What the handler did, which may be nothing."""
        return self.deeds.get(trigger, Deeds())

    def add(self, events: Iterable[e.SagaEvent]) -> None:
        """Take events of one saga into account, in their order."""
        current: Deeds | None = None
        before: e.SagaEvent | None = None
        for event in events:
            trigger = self._called(event, before)
            if trigger is not None:
                current = self.deeds.setdefault(trigger, Deeds())
            elif current is not None and isinstance(event, _DECISIONS):
                current.add(event)
            else:
                current = None
            before = event

    def add_order(self, sends: Iterable[e.SendRequested]) -> None:
        """Take all that one saga sent so far into account."""
        self.orders[tuple(map(Sent.of, sends))] = None

    def _called(self, event: e.SagaEvent, before: e.SagaEvent | None) -> Trigger | None:
        if isinstance(event, e.TimeoutFired):
            return "timeout", event.name
        if not isinstance(event, e.EventHandled):
            return None
        kinds = ("start", "event") if isinstance(before, e.SagaStarted) else ("rejected", "event", "start")
        return next(((kind, event.subject) for kind in kinds if (kind, event.subject) in self._known), None)
