"""The broker in memory as one program sees it: what `BrokerWatch`, workers and participants ask of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from amends.infrastructure.broker import ConsumerSpec, Intact, Lost, Mark, StreamSpec
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.nats.connection import Connection, Signal
from amends.infrastructure.nats.marks import Seen
from amends.infrastructure.ports import Inbox, Publisher
from amends.testing.processes import Gated, Process


class MemoryLink:
    """A connection that is there as long as its program lives. Every call that changes something is a gate."""

    def __init__(self, broker: MemoryBroker, process: Process) -> None:
        self._broker = broker
        self._process = process
        self.seen = Seen()
        self.reconnected = Signal()
        self.consumer_gone = Signal()

    def inbox(self, consumers: Sequence[ConsumerSpec]) -> Inbox:
        """Messages of these consumers."""
        return cast(Inbox, Gated(self._broker.inbox(consumers), "inbox", self._process))

    def publisher(self) -> Publisher:
        """A publisher."""
        return cast(Publisher, Gated(self._broker.publisher(), "publisher", self._process))

    async def connected(self) -> Connection:
        """The connection, which never breaks."""
        return Connection()

    async def ensure(
        self,
        streams: Sequence[StreamSpec],
        consumers: Sequence[ConsumerSpec],
        begin: Mapping[str, int] | None = None,
    ) -> dict[str, int]:
        """Create what is missing, and check what is there."""
        await self._process.gate("broker.ensure")
        return await self._broker.ensure(streams, consumers, begin)

    async def inspect(self, stream: str, mark: Mark | None) -> Intact | Lost:
        """Compare a stream with what is remembered of it."""
        return await self._broker.inspect(stream, mark)
