"""A broker in memory: deterministic, in one thread, its time is the clock's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final
from weakref import WeakValueDictionary

from amends.domain import wire
from amends.infrastructure import encoding
from amends.infrastructure.broker import (
    ConfiguredOtherwise,
    ConsumerSpec,
    Intact,
    Lost,
    Mark,
    NotStored,
    PublishFailed,
    StreamMissing,
    StreamSpec,
)
from amends.infrastructure.memory.inbox import MemoryInbox
from amends.infrastructure.memory.streams import Consumer, Stream
from amends.infrastructure.ports import Clock, Outgoing
from amends.infrastructure.subjects import minimal

_MAX_PAYLOAD: Final = wire.MAX_MESSAGE


class MemoryBroker:
    """Streams and consumers without a server, with the same calls as the one for NATS.

    Acknowledgement waits, the duplicate window and maximum ages go by the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._created = 0
        self._opened = 0
        self._order = 0
        self._inboxes: WeakValueDictionary[int, MemoryInbox] = WeakValueDictionary()  # in the order made

    async def ensure(
        self,
        streams: Sequence[StreamSpec],
        consumers: Sequence[ConsumerSpec],
        begin: Mapping[str, int] | None = None,
    ) -> dict[str, int]:
        """Create what is missing, and check what is there. Raises ConfiguredOtherwise, StreamMissing."""
        for each in streams:
            self._ensure_stream(each)
        found = {spec.place: self._ensure_consumer(spec, (begin or {}).get(spec.place)) for spec in consumers}
        self._news()
        return {place: consumer.acknowledged for place, consumer in found.items()}

    def inbox(self, consumers: Sequence[ConsumerSpec], *, buffer: int = 1000) -> MemoryInbox:
        """Messages of these consumers; `buffer` is not used."""
        inbox = MemoryInbox(self._find, self._clock, consumers)
        self._opened += 1
        self._inboxes[self._opened] = inbox
        return inbox

    def publisher(self, window: int = 1000, *, no_stream_within: float = 0.0) -> MemoryPublisher:
        """A publisher; `window` is not used, and a subject without a stream is refused at once."""
        return MemoryPublisher(self)

    def redeliver(self) -> None:
        """Deliver again what is not acknowledged, as when the time for that is over."""
        now = self._clock.now()
        for stream in self._streams.values():
            for consumer in stream.consumers.values():
                consumer.pending = dict.fromkeys(consumer.pending, now)
        self._news()

    def lose(self, stream: str) -> None:
        """The broker loses this stream and its consumers, as when its store is deleted."""
        del self._streams[stream]
        self._news()

    async def inspect(self, stream: str, mark: Mark | None) -> Intact | Lost:
        """Compare a stream with what is remembered of it; None: nothing is."""
        found = self._streams.get(stream)
        if found is None:
            return Intact(None) if mark is None else Lost("the stream is missing", None)
        last = found.messages.get(found.last)
        present = Mark(stream, found.created, found.last, last.message_id if last else "")
        if mark is not None and mark.created != found.created:
            return Lost("the stream was created again", present)
        return Intact(present)

    def _find(self, spec: ConsumerSpec) -> Consumer | None:
        stream = self._streams.get(spec.stream)
        return stream.consumers.get(spec.durable) if stream else None

    def store(self, message: Outgoing) -> str:
        """Put a message into its stream; returns why that was refused."""
        stream = next((each for each in self._streams.values() if each.takes(message.subject)), None)
        if stream is None:
            return "no stream takes this subject"
        if reason := stream.refusal():
            return reason
        self._order += 1
        stream.store(message, self._order, self._clock.now())
        self._news(stream.spec.name)
        return ""

    def _news(self, stream: str = "") -> None:
        """Tell those who receive from this stream; without one, everybody."""
        for inbox in self._inboxes.values():
            if not stream or inbox.reads(stream):
                inbox.news()

    def _ensure_stream(self, spec: StreamSpec) -> None:
        found = self._streams.get(spec.name)
        if found is None:
            self._created += 1
            self._streams[spec.name] = Stream(spec, f"{self._clock.now().isoformat()}#{self._created}")
        elif found.spec != spec:
            _refuse(f"stream {spec.name}", asdict(spec), asdict(found.spec), {"replicas"})

    def _ensure_consumer(self, spec: ConsumerSpec, begin: int | None) -> Consumer:
        stream = self._streams.get(spec.stream)
        if stream is None:
            raise StreamMissing(spec.stream, spec.durable)
        found = stream.consumers.get(spec.durable)
        if found is not None and begin is not None and (found.begin or 0) > begin:
            found = None
        if found is not None and found.spec == spec:
            return found
        filters = minimal(spec.filter_subjects)
        if found is None:
            start = begin or (stream.last + 1 if spec.deliver == "new" else 1)
            created = stream.consumers[spec.durable] = Consumer(spec, stream, start, filters, begin)
            return created
        _refuse(
            f"consumer {spec.durable} of stream {spec.stream}",
            asdict(spec),
            asdict(found.spec),
            {"filter_subjects", "deliver", "ahead", "keep", "together"},  # the inbox's own, or mended
        )
        found.extend(filters)
        return found


class MemoryPublisher:
    """Puts messages into a memory broker's streams."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def check(self, messages: Sequence[Outgoing]) -> None:
        """Raises MessageTooLarge or Unsendable where `publish` would."""
        encoding.check_sizes(encoding.encode(messages), _MAX_PAYLOAD)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when all are stored. Raises PublishFailed."""
        self.check(messages)
        failures = [NotStored(each, reason) for each in messages if (reason := self._broker.store(each))]
        if failures:
            raise PublishFailed(failures)

    async def close(self) -> None:
        """Nothing to give back."""


def _refuse(what: str, expected: Mapping[str, object], found: Mapping[str, object], free: set[str]) -> None:
    """Raises ConfiguredOtherwise where they differ in what is not free."""
    differences = {
        name: (value, found[name])
        for name, value in expected.items()
        if name not in free and found[name] != value
    }
    if differences:
        raise ConfiguredOtherwise(
            what, differences, "Use the same settings everywhere, or another namespace."
        )
