"""Broker and store in memory under watch, and the faults that happen between programs and the broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from amends.domain import wire
from amends.domain.history import Recorded
from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.memory.inbox import MemoryInbox
from amends.infrastructure.memory.store import MemoryStore
from amends.infrastructure.memory.streams import Consumer
from amends.infrastructure.ports import Clock, Commit, Incoming, Outgoing
from amends.testing.simulation.faults import Chance, Fault
from amends.testing.simulation.watch import Watch
from amends.testing.simulation.watched_limits import WatchedLimits


class WatchedStore(MemoryStore):
    """Tells the watch of every commit."""

    def __init__(self, clock: Clock, watch: Watch) -> None:
        super().__init__(clock)
        self._watch = watch
        self.limits = WatchedLimits(clock, self._is_quarantined, self._row, self._held.values, watch.broken)

    async def commit(self, commit: Commit) -> frozenset[UUID]:
        """Save, and tell what was saved."""
        known = {row.saga_id: len(self._events.get(row.saga_id, ())) for row in commit.rows}
        conflicts = await super().commit(commit)
        recorded: dict[UUID, Sequence[Recorded]] = {
            saga_id: self._events[saga_id][count:]
            for saga_id, count in known.items()
            if saga_id not in conflicts
        }
        self._watch.committed(commit, recorded)
        return conflicts

    def keeps(self, message_id: str) -> bool:
        """Whether the message lies among the dead letters or the held messages."""
        return message_id in self.dead or any(held.message_id == message_id for held in self._held.values())

    @property
    def in_quarantine(self) -> list[UUID]:
        """The sagas that could not be decided."""
        return [saga_id for saga_id, each in self._sagas.items() if each.error is not None]

    @property
    def next_wake_up(self) -> datetime | None:
        """When a saga must be looked at."""
        wake_ups = (each.row.wake_up for each in self._timed.values() if each.error is None)
        return min((each for each in wake_ups if each is not None), default=None)

    @property
    def is_published(self) -> bool:
        """Whether everything that was committed is known to be published."""
        return not self._outbox


class WatchedBroker(MemoryBroker):
    """Tells the watch of every message; may store one twice, or lose it and tell the publisher that it has it."""

    def __init__(self, clock: Clock, watch: Watch, chance: Chance) -> None:
        super().__init__(clock)
        self._watch = watch
        self._chance = chance
        self._copies = 0

    def store(self, message: Outgoing) -> str:
        """Store it, once, twice, or not at all."""
        if _may_be_lost(message) and self._chance.strikes(Fault.LOSS):
            return ""
        before = self._length
        refused = super().store(message)
        if self._length > before:
            self._watch.stored(message, self._clock.now())
            if self._chance.strikes(Fault.DUPLICATE):
                self._copies += 1
                super().store(replace(message, deduplication_id=f"{message.message_id}/copy-{self._copies}"))
        return refused

    @property
    def _length(self) -> int:
        """How many messages all streams ever had; what the duplicate window swallowed does not count."""
        return sum(stream.last for stream in self._streams.values())

    def lose(self, stream: str) -> None:
        """The broker loses this stream."""
        super().lose(stream)
        if stream.endswith("_EVENTS"):
            self._watch.lost_all()

    def inbox(self, consumers: Sequence[ConsumerSpec], *, buffer: int = 1000) -> MemoryInbox:
        """An inbox whose deliveries and acknowledgements may get lost."""
        inbox = UnreliableInbox(self._find, self._clock, consumers, self._watch, self._chance)
        self._opened += 1
        self._inboxes[self._opened] = inbox
        return inbox

    def has(self, stream: str) -> bool:
        """Whether there is a stream of this name, without namespace."""
        return any(name.endswith(f"_{stream.upper()}") for name in self._streams)

    @property
    def is_handled(self) -> bool:
        """Whether every message is acknowledged by everybody."""
        now = self._clock.now()
        consumers = [each for stream in self._streams.values() for each in stream.consumers.values()]
        return all(each.first_unacknowledged(now) is None for each in consumers)

    def next_redelivery(self) -> datetime | None:
        """When something is delivered again that was not acknowledged."""
        consumers = [each for stream in self._streams.values() for each in stream.consumers.values()]
        moments = (each.next_redelivery() for each in consumers)
        return min((each for each in moments if each is not None), default=None)


class UnreliableInbox(MemoryInbox):
    """An inbox in whose network deliveries and acknowledgements get lost; both only cause another delivery."""

    def __init__(
        self,
        find: Callable[[ConsumerSpec], Consumer | None],
        clock: Clock,
        consumers: Sequence[ConsumerSpec],
        watch: Watch,
        chance: Chance,
    ) -> None:
        super().__init__(find, clock, consumers)
        self._watch = watch
        self._chance = chance

    def _take(self, limit: int, now: datetime) -> list[Incoming]:
        """What arrives; a message that is lost on its way takes those of its saga behind it along, as TCP would."""
        arrived: list[Incoming] = []
        lost: set[str] = set()
        for message in super()._take(limit, now):
            saga = message.headers.get(wire.SAGA_ID, "")
            if saga in lost or self._chance.strikes(Fault.DELIVERY):
                lost.add(saga)
            else:
                arrived.append(message)
        return arrived

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Tell the broker, unless that gets lost."""
        for message in messages:
            self._watch.acknowledged(message, self._clock.now())
        await super().acknowledge([each for each in messages if not self._chance.strikes(Fault.DELIVERY)])


def _may_be_lost(message: Outgoing) -> bool:
    """Not a start: who publishes it here has no outbox to notice it from."""
    return wire.SAGA_ID in message.headers or wire.CE_SOURCE in message.headers
