"""Messages from durable consumers, quickly: long pull requests, and acknowledgements as core messages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from nats import errors
from nats.aio.subscription import Subscription

from amends.domain import wire
from amends.infrastructure.broker import BrokerClosed, ConsumerSpec
from amends.infrastructure.nats.delivery import Delivery
from amends.infrastructure.nats.peers import Delivered, Peers, passed_on
from amends.infrastructure.nats.progress import handled_until
from amends.infrastructure.nats.protocol import header_fields
from amends.infrastructure.nats.pull import Pull
from amends.infrastructure.nats.reader import Taker
from amends.infrastructure.ports import Incoming

if TYPE_CHECKING:
    from amends.infrastructure.nats.connection import Broker

_ACK: Final = "+ACK"
_NAK: Final = "-NAK"
_IN_PROGRESS: Final = "+WPI"


class _Token(NamedTuple):
    """Where the acknowledgement goes, and to which life of the consumer it belongs."""

    pull: Pull
    identity: str
    reply: str


class _Buffered(NamedTuple):
    message: Incoming
    token: _Token
    at: float


class JetStreamInbox:
    """Messages of several consumers. Starts to pull with the first `receive`.

    A message that waited here longer than the consumer's `ack_wait` is dropped, for the broker delivers it
    again; one that waited half as long is reported as in progress when it is received, so that the receiver
    has the whole `ack_wait` for it. What is kept (`ConsumerSpec.keep`) is reported again and again, until it is
    acknowledged. What belongs together (`ConsumerSpec.together`) is passed on to the inbox that should have it, and
    others pass on to this one. When a consumer turns out to be another one than before (the broker lost its store),
    what it had delivered is dropped, and not acknowledged: the acknowledgement would hit another message.
    """

    def __init__(self, broker: Broker, consumers: Sequence[ConsumerSpec], buffer: int) -> None:
        self._broker = broker
        self._buffer: deque[_Buffered] = deque()
        self._arrived = asyncio.Event()
        self._attend = asyncio.Event()
        self._pulls = [
            Pull(broker, each, broker.client.new_inbox(), min(buffer, each.ahead or buffer))
            for each in consumers
        ]
        own = broker.client.new_inbox().rpartition(".")[2]
        self._peers = Peers(broker, consumers, f"{broker.namespace}.svc.inbox.{own}", self._is_busy)
        self._subscriptions: list[Subscription] = []
        self._pump: asyncio.Task[None] | None = None
        self._closed = False
        self._unlisten = broker.changed.listen(self._attend.set)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def receive(self, limit: int, timeout: float | None) -> Sequence[Incoming]:
        """Up to `limit` messages, as soon as there is one; none after `timeout` seconds (None: no limit)."""
        if self._pump is None and not self._closed:
            self._pump = asyncio.create_task(self._keep_pulling(), name="amends-nats-inbox")
            self._pump.add_done_callback(lambda _: self._arrived.set())
        try:
            async with asyncio.timeout(timeout):
                while not (taken := await self._take(limit)):
                    await self._arrival()
        except TimeoutError:
            return ()
        return taken

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Tell the broker that these are done with, after a reconnect if it is away."""
        replies: list[str] = []
        for message in messages:
            token: _Token = message.token
            token.pull.in_progress.over(token.reply)
            if token.identity == token.pull.identity:
                (replies if token.pull.is_live else token.pull.late).append(token.reply)
        await self._tell(replies, _ACK)

    async def handled_until(self) -> datetime | None:
        """All that the broker received before this moment is acknowledged; None: all of it, as of now."""
        asked = [pull.spec for pull in self._pulls if not pull.paused]
        moments = await asyncio.gather(*(handled_until(self._broker.api, spec) for spec in asked))
        return min((each for each in moments if each is not None), default=None)

    def pause(self, durable: str) -> None:
        """Ask for no more messages of this consumer; those that were asked for may still come."""
        self._set_paused(durable, paused=True)

    def resume(self, durable: str) -> None:
        """Ask for this consumer's messages again."""
        self._set_paused(durable, paused=False)

    async def close(self) -> None:
        """Stop pulling, and give back what was not received, so that another worker gets it at once."""
        if self._closed:
            return
        self._closed = True
        self._unlisten()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await self._peers.close()
        if self._broker.is_up:
            # Draining takes in what is already on its way, so that it can be given back too.
            drains = [each.drain() for each in self._subscriptions]  # type: ignore[no-untyped-call]
            await asyncio.gather(*drains, return_exceptions=True)
        await self._tell([each.token.reply for each in self._buffer if each.token.pull.is_live], _NAK)
        self._buffer.clear()

    def _set_paused(self, durable: str, *, paused: bool) -> None:
        for pull in self._pulls:
            if pull.spec.durable == durable:
                pull.paused = paused
        self._attend.set()

    async def _arrival(self) -> None:
        if self._closed:
            raise BrokerClosed("the inbox has been closed")
        if self._pump is not None and self._pump.done():
            self._pump.result()
        self._arrived.clear()
        await self._arrived.wait()

    async def _take(self, limit: int) -> list[Incoming]:
        """Out of the buffer. Awaits nothing between taking a message and returning it unless it is old."""
        taken: list[Incoming] = []
        now = self._loop.time()
        old: list[str] = []
        while self._buffer and len(taken) < limit:
            message, (pull, _, reply), at = self._buffer.popleft()
            age = now - at
            pull.buffered -= 1
            if age < pull.spec.ack_wait + pull.spec.keep:
                taken.append(message)
                if age > pull.spec.ack_wait / 2:
                    old.append(reply)
            if pull.wants_more():
                self._attend.set()
        await self._tell(old, _IN_PROGRESS)
        return taken

    async def _tell(self, replies: Sequence[str], what: str) -> None:
        if not replies:
            return
        try:
            await self._broker.client.post(
                [f"PUB {reply} {len(what)}\r\n{what}\r\n".encode() for reply in replies]
            )
        except (errors.OutboundBufferLimitError, errors.ConnectionClosedError):
            return  # only causes another delivery

    async def _keep_pulling(self) -> None:
        await self._broker.connected()
        for pull in self._pulls:
            self._subscriptions.append(await self._broker.client.take(f"{pull.subject}.*", self._taker(pull)))
        for pull in self._pulls:
            await self._attend_to(pull)
        # Only now: what is passed on for a consumer that is not known yet is not taken.
        self._subscriptions += await self._peers.open(self._take_passed_on)
        while True:
            self._attend.clear()
            for pull in self._pulls:
                await self._attend_to(pull)
            now = self._loop.time()
            try:
                async with asyncio.timeout(min(pull.due(now) for pull in self._pulls)):
                    await self._attend.wait()
            except TimeoutError:
                continue

    async def _attend_to(self, pull: Pull) -> None:
        if not await pull.attend(self._loop.time()):
            self._drop(pull)
            pull.late.clear()
            self._broker.consumer_gone()
            if pull.is_live:
                self._attend.set()  # it is another one: ask it
        if pull.is_live and pull.late:
            late, pull.late = pull.late, []
            await self._tell(late, _ACK)
        told = list(pull.in_progress.told(self._loop.time()))
        if pull.is_live:
            await self._tell(told, _IN_PROGRESS)

    def _drop(self, pull: Pull) -> None:
        self._buffer = deque(each for each in self._buffer if each.token.pull is not pull)
        pull.buffered = 0
        pull.in_progress.clear()

    def _is_busy(self) -> bool:
        return any(pull.spec.together and pull.buffered > 2 * pull.buffer for pull in self._pulls)

    def _taker(self, pull: Pull) -> Taker:
        def take(subject: str, reply: str, headers: bytes, body: bytes) -> None:
            now = self._loop.time()
            if not reply:
                pull.status(header_fields(headers), now)
                self._attend.set()
                return
            pull.answered(now)
            delivered, delivery = Delivered(subject, reply, headers, body), Delivery.parse(reply)
            other = self._peers.other(pull.spec, headers) if delivery.deliveries == 1 else None
            if other is None:
                self._arrive(pull, delivered, delivery, now)
                return
            self._peers.pass_on(other, pull.life, delivered)
            if pull.wants_more():
                self._attend.set()

        return take

    def _take_passed_on(self, subject: str, _reply: str, headers: bytes, body: bytes) -> None:
        """Out of the hands of another inbox. What is of another life of its consumer will be delivered again."""
        life, delivered = passed_on(subject.removeprefix(f"{self._peers.name}."), headers, body)
        delivery = Delivery.parse(delivered.reply)
        for pull in self._pulls:
            if pull.spec.durable == delivery.consumer and pull.life == life and pull.is_live:
                self._arrive(pull, delivered, delivery, self._loop.time())

    def _arrive(self, pull: Pull, delivered: Delivered, delivery: Delivery, now: float) -> None:
        subject, reply, headers, body = delivered
        fields = header_fields(headers)
        token = _Token(pull, pull.identity, reply)
        message = Incoming(
            subject,
            fields,
            body,
            delivery.received,
            delivery.sequence,
            delivery.deliveries,
            delivery.consumer,
            token,
        )
        message_id = fields.get(wire.NATS_MSG_ID) or fields.get(wire.CE_ID) or ""
        self._broker.seen.note(pull.spec.stream, delivery.sequence, message_id)
        pull.delivered(delivery.sequence, message_id)
        pull.in_progress.arrived(reply, now)
        self._buffer.append(_Buffered(message, token, now))
        self._arrived.set()
