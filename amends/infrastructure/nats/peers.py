"""Inboxes that share consumers, and which of them each message is for.

A saga is decided most cheaply where it was decided last. So inboxes tell each other that they are there, and what
belongs together goes to one of them: the others pass it on, as it came. Nothing rests on it: what gets lost on the way
is delivered again, and what inboxes do not agree on is handled by whoever has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from nats import errors
from nats.aio.subscription import Subscription
from pydantic import BaseModel, Field

from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.nats.reader import Taker

if TYPE_CHECKING:
    from amends.infrastructure.nats.connection import Broker

_TELL_EVERY: Final = 1.0
_FORGET_AFTER: Final = 3.0
_GOODBYE_WITHIN: Final = 0.5
_REPLY: Final = ".$JS.ACK."
_BYE: Final = "bye"
_NAME: Final = r"^[^\s.*>]+(\.[^\s.*>]+)+$"
"""A subject, for it is written into commands of the protocol as it comes."""


class Delivered(NamedTuple):
    """A message as it came from the server; `reply` is where its acknowledgement goes."""

    subject: str
    reply: str
    headers: bytes
    body: bytes


def passed_on(what: str, headers: bytes, body: bytes) -> tuple[str, Delivered]:
    """What another inbox passed on: the life of the consumer that it had it from, and the message.

    `what` is the subject that it came on, less the name of the inbox.
    """
    life, _, rest = what.partition(".")
    original, _, reply = rest.partition(_REPLY)
    return life, Delivered(original, f"{_REPLY[1:]}{reply}", headers, body)


class _Told(BaseModel):
    """What inboxes tell each other; one that goes has no consumers."""

    inbox: str = Field(pattern=_NAME)
    consumers: frozenset[str]
    busy: bool


class _Peer(NamedTuple):
    consumers: frozenset[str]
    busy: bool
    heard: float


class Peers:
    """The inboxes that share these consumers with this one, which is `name`: the prefix of subjects that it hears.

    `busy` tells whether this one has so much waiting that it should get nothing from others.
    """

    def __init__(
        self, broker: Broker, consumers: Collection[ConsumerSpec], name: str, busy: Callable[[], bool]
    ) -> None:
        self._broker = broker
        self.name = name
        self._busy = busy
        self._consumers = frozenset(spec.place for spec in consumers if spec.together)
        self._subject = f"{broker.namespace}.svc.peers"
        self._peers: dict[str, _Peer] = {}
        self._members: dict[str, list[str]] = {}
        self._frames: list[bytes] = []
        self._byes = 0
        self._closed = False
        self._news = asyncio.Event()
        self._newcomer = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    async def open(self, taker: Taker) -> list[Subscription]:
        """Tell the others of this one; `taker` is given what they pass on, to be read by `passed_on`."""
        if not self._consumers:
            return []
        client = self._broker.client
        subscriptions = [
            await client.take(f"{self.name}.{_BYE}", self._count),
            await client.take(f"{self.name}.*.>", taker),
            await client.take(self._subject, self._hear),
        ]
        self._tasks = [asyncio.create_task(self._tell()), asyncio.create_task(self._post())]
        return subscriptions

    async def close(self) -> None:
        """Tell the others that this one goes. Returns when they have passed on their last, if they say so soon."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closed = True
        self._members.clear()
        if not self._tasks or not self._broker.is_up:
            return
        await self._post_all()
        await self._publish((), reply=f"{self.name}.{_BYE}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_WITHIN):
                while self._byes < len(self._peers):
                    self._news.clear()
                    await self._news.wait()

    def other(self, spec: ConsumerSpec, headers: bytes) -> str | None:
        """The inbox that this message is for; None: this one, or it does not matter."""
        members = self._members.get(spec.place)
        if members is None or not (value := _value(headers, spec.together)):
            return None
        member = members[crc32(value) % len(members)]
        return None if member == self.name or self._peers[member].busy else member

    def pass_on(self, member: str, life: str, delivered: Delivered) -> None:
        """Have another inbox take this message."""
        subject, reply, headers, body = delivered
        # The server lets nobody else use such a reply subject as one.
        subject = f"{member}.{life}.{subject}.{reply}"
        line = f"HPUB {subject} {len(headers)} {len(headers) + len(body)}\r\n"
        self._frames.append(b"".join((line.encode(), headers, body, b"\r\n")))
        self._news.set()

    async def _post(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._post_all()

    async def _post_all(self) -> None:
        frames, self._frames = self._frames, []
        # What cannot be sent is delivered again.
        with suppress(errors.OutboundBufferLimitError, errors.ConnectionClosedError):
            await self._broker.client.post(frames)

    async def _tell(self) -> None:
        while True:
            if self._broker.is_up:
                await self._publish(self._consumers)
            now = self._loop.time()
            self._peers = {
                name: peer for name, peer in self._peers.items() if now - peer.heard < _FORGET_AFTER
            }
            self._arrange()
            self._newcomer.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_EVERY):
                    await self._newcomer.wait()

    async def _publish(self, consumers: Collection[str], reply: str = "") -> None:
        told = _Told(inbox=self.name, consumers=frozenset(consumers), busy=self._busy())
        with suppress(errors.Error):
            await self._broker.client.publish(self._subject, told.model_dump_json().encode(), reply)

    def _count(self, _subject: str, _reply: str, _headers: bytes, _body: bytes) -> None:
        self._byes += 1
        self._news.set()

    def _hear(self, _subject: str, reply: str, _headers: bytes, body: bytes) -> None:
        told = _Told.model_validate_json(body)
        if told.inbox == self.name:
            return
        consumers = told.consumers & self._consumers
        known = self._peers.pop(told.inbox, None)
        if consumers:
            self._peers[told.inbox] = _Peer(consumers, told.busy, self._loop.time())
        if consumers != (known.consumers if known is not None else frozenset()):
            self._arrange()
            self._newcomer.set()
        if known is not None and reply:
            self._frames.append(f"PUB {reply} 0\r\n\r\n".encode())  # after all that was passed on
            self._news.set()

    def _arrange(self) -> None:
        """Who shares which consumer: in the same order with each of them, so that all choose the same for a message."""
        if self._closed:
            return
        members = {
            place: sorted(
                [self.name, *(name for name, peer in self._peers.items() if place in peer.consumers)]
            )
            for place in self._consumers
        }
        self._members = {place: names for place, names in members.items() if len(names) > 1}


def _value(headers: bytes, name: str) -> bytes:
    """The value of this header, as bytes; nothing where it is not there."""
    start = headers.find(b"\r\n" + name.encode() + b":")
    if start < 0:
        return b""
    return headers[start + len(name) + 3 : headers.find(b"\r\n", start + 2)].strip()
