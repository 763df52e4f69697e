"""JetStream at its quickest, and nothing else: no reconnecting, no loss detection, no errors handled.

Core messages with the acknowledgements on an inbox of one's own, and one long pull request that is renewed.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from nats.aio.msg import Msg

from amends.infrastructure.nats.client import Client

WINDOW: Final = 1000
_EXPIRES: Final = 60_000_000_000


class Message(NamedTuple):
    """`headers` is a ready block of the protocol, which holds the message's `Nats-Msg-Id`."""

    subject: str
    headers: bytes
    body: bytes


def headers(message_id: str) -> bytes:
    """A header block that holds nothing but the id."""
    return f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n\r\n".encode()


class JetStream:
    """A connection that publishes and pulls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._inbox = client.new_inbox()
        self._room = asyncio.Semaphore(WINDOW)
        self._waiting: deque[Msg] = deque()
        self._came = asyncio.Event()
        self._asked = 0
        self._next = ""

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator[JetStream]:
        client = Client()
        await client.connect(url)
        try:
            yield cls(client)
        finally:
            await client.close()

    async def stream(self, name: str, subject: str) -> None:
        """Made in files, empty."""
        await self._ask(f"STREAM.CREATE.{name}", {"name": name, "subjects": [subject], "storage": "file"})

    async def remove(self, name: str) -> None:
        await self._ask(f"STREAM.DELETE.{name}", {})

    async def publish(self, messages: Iterable[Message]) -> None:
        """Returns when all are stored; at most a thousand are unanswered at any time."""
        stored = asyncio.Event()
        sent = answered = 0

        async def told(_: Msg) -> None:
            nonlocal answered
            answered += 1
            self._room.release()
            if answered == sent:
                stored.set()

        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox, cb=told, pending_bytes_limit=0)
        for subject, block, body in messages:
            await self._room.acquire()
            sent += 1
            line = f"HPUB {subject} {inbox} {len(block)} {len(block) + len(body)}\r\n".encode()
            await self.client.post([line + block + body + b"\r\n"])
        while answered < sent:
            stored.clear()
            await stored.wait()
        await subscription.unsubscribe()

    async def count(self, stream: str) -> int:
        """How many messages it holds."""
        found: int = (await self._ask(f"STREAM.INFO.{stream}", {}))["state"]["messages"]
        return found

    async def consume(self, stream: str) -> None:
        """Have all messages of this stream delivered here, from the first on."""
        config = {"durable_name": "alone", "ack_policy": "explicit", "max_ack_pending": -1}
        await self._ask(f"CONSUMER.CREATE.{stream}.alone", {"stream_name": stream, "config": config})
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.alone"
        await self.client.subscribe(self._inbox, cb=self._receive, pending_bytes_limit=0)
        await self._pull()

    async def receive(self, limit: int) -> Sequence[Msg]:
        """Up to so many messages, as soon as there is one."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        if self._asked < WINDOW // 2:
            await self._pull()
        return taken

    async def acknowledge(self, messages: Iterable[Msg]) -> None:
        for message in messages:
            await self.client.publish(message.reply, b"+ACK")

    async def _pull(self) -> None:
        self._asked += WINDOW
        request = json.dumps({"batch": WINDOW, "expires": _EXPIRES}).encode()
        await self.client.publish(self._next, request, reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        if message.reply:
            self._asked -= 1
            self._waiting.append(message)
            self._came.set()

    async def _ask(self, what: str, request: dict[str, object]) -> dict[str, Any]:
        answered = await self.client.request(f"$JS.API.{what}", json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(answered.data)
        if error := answer.get("error"):
            raise RuntimeError(f"{what}: {error}")
        return answer
