"""Publishing into streams, quickly: core messages, with the acknowledgements on a subject of our own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nats import errors
from nats.aio.subscription import Subscription
from pydantic_core import from_json

from amends.infrastructure import encoding
from amends.infrastructure.broker import BrokerClosed, NotStored, PublishFailed
from amends.infrastructure.ports import Outgoing

if TYPE_CHECKING:
    from amends.infrastructure.nats.connection import Broker, Connection

_ACKNOWLEDGED_WITHIN: Final = 5.0
_WINDOW_BYTES: Final = 16 * 1024 * 1024
_PAUSE: Final = 0.1
_NOT_NOW: Final = frozenset({10008, 10009})  # no leader, or the cluster is not ready
_NO_STREAM: Final = "no stream takes this subject, or JetStream is not there"


class _Batch:
    """The messages of one call, by their place in it, until each is stored or refused."""

    def __init__(self, messages: Sequence[encoding.Encoded]) -> None:
        self.messages = messages
        self.to_send = deque(range(len(messages)))
        self.unanswered: dict[str, int] = {}  # reply subject -> place
        self.for_now: dict[int, str] = {}  # place -> why it has to be sent again
        self.refused: dict[int, str] = {}
        self.answered = 0
        self.news = asyncio.Event()
        self.connection: Connection | None = None


class JetStreamPublisher:
    """Publishes batches; several calls may run at once and share the window.

    `no_stream_within` is for how many seconds a subject may have no stream: after a loss the streams are
    created again within that time, so it is no refusal yet.
    """

    def __init__(self, broker: Broker, window: int, no_stream_within: float) -> None:
        self._broker = broker
        self._window = window
        self._no_stream_within = no_stream_within
        self._replies = broker.client.new_inbox()
        self._count = 0
        self._unanswered: dict[str, _Batch] = {}
        self._bytes = 0
        self._batches: list[_Batch] = []
        self._closed = False
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()
        self._unlisten = broker.changed.listen(self._wake)

    def check(self, messages: Sequence[Outgoing]) -> None:
        """Raises MessageTooLarge or Unsendable where `publish` would, without sending anything."""
        self._encode(messages)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when all are stored. Waits while the broker is away, then sends again what has no answer.

        Raises PublishFailed for what the broker refuses; MessageTooLarge and Unsendable before it sends.
        """
        if self._closed:
            raise BrokerClosed("the publisher has been closed")
        batch = _Batch(self._encode(messages))
        await self._subscribe()
        patience = _Patience(self._no_stream_within)
        self._batches.append(batch)
        try:
            while batch.to_send or batch.unanswered or batch.for_now:
                await self._send(batch)
                await self._wait(batch, patience)
        finally:
            self._batches.remove(batch)
            self._forget(batch)
        if batch.refused:
            raise PublishFailed(
                [NotStored(messages[place], why) for place, why in sorted(batch.refused.items())]
            )

    async def close(self) -> None:
        """Give the subscription back."""
        if self._closed:
            return
        self._closed = True
        self._unlisten()
        if self._subscription is not None and not self._broker.client.is_closed:
            await self._subscription.unsubscribe()

    def _encode(self, messages: Sequence[Outgoing]) -> list[encoding.Encoded]:
        encoded = encoding.encode(messages)
        encoding.check_sizes(encoded, self._broker.client.max_payload)
        return encoded

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if self._subscription is None:
                await self._broker.connected()
                self._subscription = await self._broker.client.take(f"{self._replies}.*", self._answered)

    async def _send(self, batch: _Batch) -> None:
        """Send as much as the window has room for, first what a broken connection may have swallowed."""
        connection = await self._broker.connected()
        if batch.connection is not connection:
            self._take_back(batch)
            batch.connection = connection
            encoding.check_sizes(batch.messages, self._broker.client.max_payload)  # it may be another server
        frames: list[bytes] = []
        while batch.to_send and self._has_room():
            place = batch.to_send.popleft()
            encoded = batch.messages[place]
            self._count += 1
            reply = f"{self._replies}.{self._count}"
            batch.unanswered[reply] = place
            self._unanswered[reply] = batch
            self._bytes += encoded.size
            frames.append(encoded.frame(reply))
        try:
            await self._broker.client.post(frames)
        except errors.OutboundBufferLimitError:
            batch.connection = None  # the connection is breaking; all is sent again on the next

    def _has_room(self) -> bool:
        return not self._unanswered or (len(self._unanswered) < self._window and self._bytes < _WINDOW_BYTES)

    async def _wait(self, batch: _Batch, patience: _Patience) -> None:
        """Until there is something to do for this batch."""
        while not self._can_go_on(batch):
            batch.news.clear()
            answered = batch.answered
            try:
                async with asyncio.timeout(_ACKNOWLEDGED_WITHIN):
                    await batch.news.wait()
            except TimeoutError:
                if batch.answered == answered:
                    self._take_back(batch)
                    return
        if batch.to_send or batch.unanswered:
            return
        if not batch.for_now:
            patience.reset()
        elif patience.is_exhausted():
            batch.refused |= batch.for_now
        else:
            await asyncio.sleep(_PAUSE)
            batch.to_send.extend(sorted(batch.for_now))
        batch.for_now = {}

    def _can_go_on(self, batch: _Batch) -> bool:
        if batch.connection is None or batch.connection.broken.done():
            return True
        return self._has_room_again() if batch.to_send else not batch.unanswered

    def _has_room_again(self) -> bool:
        """Half the window, so that it is not filled message by message."""
        return len(self._unanswered) <= self._window // 2 and self._bytes <= _WINDOW_BYTES // 2

    def _take_back(self, batch: _Batch) -> None:
        """Send again what has no answer, in its order."""
        places = sorted(batch.unanswered.values())
        self._forget(batch)
        batch.to_send.extendleft(reversed(places))

    def _forget(self, batch: _Batch) -> None:
        for reply, place in batch.unanswered.items():
            del self._unanswered[reply]
            self._bytes -= batch.messages[place].size
        batch.unanswered.clear()
        self._wake()

    def _wake(self) -> None:
        for batch in self._batches:
            batch.news.set()

    def _answered(self, subject: str, _reply: str, _headers: bytes, answer: bytes) -> None:
        batch = self._unanswered.pop(subject, None)
        if batch is None:
            return  # sent again meanwhile; that one's answer counts
        place = batch.unanswered.pop(subject)
        message = batch.messages[place]
        batch.answered += 1
        self._bytes -= message.size
        known = from_json(answer) if answer else None
        if known is None:
            batch.for_now[place] = _NO_STREAM
        elif (error := known.get("error")) is not None:
            refused = batch.for_now if error.get("err_code") in _NOT_NOW else batch.refused
            refused[place] = f"{error.get('description')} ({error.get('err_code')})"
        elif not known.get("duplicate"):
            self._note(known, message.message)
        if not batch.unanswered:
            batch.news.set()
        for each in self._batches:
            if each.to_send and self._has_room_again():
                each.news.set()

    def _note(self, acknowledgement: Mapping[str, Any], message: Outgoing) -> None:
        identity = message.deduplication_id or message.message_id
        self._broker.seen.note(acknowledgement["stream"], acknowledgement["seq"], identity)


class _Patience:
    """How long a refusal that may pass is borne, counted from the first in a row."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def reset(self) -> None:
        self._until = None

    def is_exhausted(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._seconds
        return now >= self._until
