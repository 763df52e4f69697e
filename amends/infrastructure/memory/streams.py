"""Streams and consumers in memory: what JetStream does, as far as Amends relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec, StreamSpec
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.subjects import covers, minimal

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in a stream. `order` is its place among those of all streams."""

    sequence: int
    order: int
    subject: str
    headers: Mapping[str, str]
    body: bytes
    received: datetime

    @property
    def message_id(self) -> str:
        return self.headers.get(wire.NATS_MSG_ID) or self.headers.get(wire.CE_ID) or ""


@dataclass(slots=True)
class Stream:
    """One stream. Times come from outside; `created` tells it from one of the same name before it."""

    spec: StreamSpec
    created: str
    messages: dict[int, Stored] = field(default_factory=dict[int, Stored])
    last: int = 0
    consumers: dict[str, Consumer] = field(default_factory=dict[str, "Consumer"])
    _ids: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def takes(self, subject: str) -> bool:
        return any(covers(each, subject) for each in self.spec.subjects)

    def refusal(self) -> str:
        """Why it cannot take another message at present."""
        spec = self.spec
        if spec.discard == "new" and 0 <= spec.max_messages <= len(self.messages):
            return "maximum messages exceeded"
        return ""

    def store(self, message: Outgoing, order: int, now: datetime) -> None:
        """Keep the message, unless one with its id came within the duplicate window."""
        self.expire(now)
        for identity in _older(iter(self._ids.items()), now - self.spec.duplicate_window):
            del self._ids[identity]
        identity = message.deduplication_id or message.message_id
        if identity in self._ids:
            return
        self._ids[identity] = now
        self.last += 1
        headers = {**message.headers, wire.NATS_MSG_ID: identity}
        self.messages[self.last] = Stored(self.last, order, message.subject, headers, message.body, now)
        if 0 <= self.spec.max_messages < len(self.messages):
            del self.messages[next(iter(self.messages))]

    def expire(self, now: datetime) -> None:
        """Forget what is too old."""
        oldest, limit = next(iter(self.messages.values()), None), now - self.spec.max_age
        if oldest is not None and oldest.received < limit:
            for sequence in _older(((key, each.received) for key, each in self.messages.items()), limit):
                del self.messages[sequence]


def _older(entries: Iterator[tuple[_Key, datetime]], than: datetime) -> list[_Key]:
    """The keys at the beginning whose time is before that; entries are in the order of time."""
    keys: list[_Key] = []
    for key, time in entries:
        if time >= than:
            break
        keys.append(key)
    return keys


@dataclass(slots=True)
class Consumer:
    """One durable consumer. `pending` tells when what is not acknowledged will be delivered again.

    `begin` is the sequence that it was told to start with; None: it follows its specification.
    """

    spec: ConsumerSpec
    stream: Stream
    position: int
    filters: tuple[str, ...]
    begin: int | None = None
    pending: dict[int, datetime] = field(default_factory=dict[int, datetime])
    deliveries: dict[int, int] = field(default_factory=dict[int, int])
    _passed: int = 0  # up to here nothing is left that was never delivered and is wanted

    @property
    def acknowledged(self) -> int:
        """Up to which sequence all is acknowledged."""
        return min(self.pending, default=self.position) - 1

    def extend(self, filters: Collection[str]) -> None:
        self.filters = minimal((*self.filters, *filters))
        self._passed = 0

    def ready(self, now: datetime) -> Iterator[Stored]:
        """What can be delivered now, oldest first."""
        self.stream.expire(now)
        if not self.pending and self._passed == self.stream.last:
            return
        for sequence in [each for each in self.pending if each not in self.stream.messages]:
            self.acknowledge(sequence)  # it has aged out
        for sequence in sorted(self.pending):
            if self.pending[sequence] <= now:
                yield self.stream.messages[sequence]
        for message in self._undelivered():
            if len(self.pending) >= self.spec.max_ack_pending:
                return
            yield message

    def deliver(self, message: Stored, now: datetime) -> int:
        """Count a delivery; returns how many it is."""
        self.position = max(self.position, message.sequence + 1)
        self.pending[message.sequence] = now + timedelta(seconds=self.spec.ack_wait)
        count = self.deliveries[message.sequence] = self.deliveries.get(message.sequence, 0) + 1
        return count

    def acknowledge(self, sequence: int) -> None:
        self.pending.pop(sequence, None)
        self.deliveries.pop(sequence, None)

    def next_redelivery(self) -> datetime | None:
        return min(self.pending.values(), default=None)

    def first_unacknowledged(self, now: datetime) -> datetime | None:
        """When the oldest message was received that is not acknowledged."""
        self.stream.expire(now)
        messages = self.stream.messages
        delivered = (messages[each] for each in sorted(self.pending) if each in messages)
        return next((each.received for each in chain(delivered, self._undelivered())), None)

    def _undelivered(self) -> Iterator[Stored]:
        """Messages that are wanted and were never delivered, oldest first."""
        self._passed = max(self._passed, self.position - 1)
        for sequence in range(self._passed + 1, self.stream.last + 1):
            message = self.stream.messages.get(sequence)
            if message is not None and self._wants(message):
                yield message
            elif sequence == self._passed + 1:
                self._passed = sequence

    def _wants(self, message: Stored) -> bool:
        return any(covers(each, message.subject) for each in self.filters)
