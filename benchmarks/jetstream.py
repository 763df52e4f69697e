"""JetStream at its quickest, and nothing else: no reconnecting, no loss detection, no errors handled.

Core messages with the acknowledgements on an inbox of one's own, and one long pull request that is renewed.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

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


class Received(NamedTuple):
    """A message as it came; `reply` is where its acknowledgement goes."""

    reply: str
    headers: bytes
    body: bytes


class JetStream:
    """A connection that publishes and pulls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._inbox = client.new_inbox()
        self._waiting: deque[Received] = deque()
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
        news = asyncio.Event()
        sent = answered = 0

        def told(_subject: str, _reply: str, _headers: bytes, _body: bytes) -> None:
            nonlocal answered
            answered += 1
            news.set()

        inbox = self.client.new_inbox()
        subscription = await self.client.take(inbox, told)
        rest = iter(messages)
        while frames := [_frame(message, inbox) for message in islice(rest, WINDOW - sent + answered)]:
            sent += len(frames)
            await self.client.post(frames)
            while sent - answered > WINDOW // 2:
                news.clear()
                await news.wait()
        while answered < sent:
            news.clear()
            await news.wait()
        await subscription.unsubscribe()

    async def tell(self, subjects: Iterable[str]) -> None:
        """Send empty messages that nobody stores."""
        if frames := [f"PUB {subject} 0\r\n\r\n".encode() for subject in subjects]:
            await self.client.post(frames)

    async def count(self, stream: str) -> int:
        """How many messages it holds."""
        found: int = (await self._ask(f"STREAM.INFO.{stream}", {}))["state"]["messages"]
        return found

    async def consume(self, stream: str, name: str = "alone", subjects: Sequence[str] = ()) -> None:
        """Have the messages of this stream on these subjects, or all, delivered here, from the first on."""
        config = {
            "durable_name": name,
            "ack_policy": "explicit",
            "max_ack_pending": -1,
            "filter_subjects": list(subjects),
        }
        await self._ask(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
        await self.client.take(self._inbox, self._receive)
        await self._pull()

    async def receive(self, limit: int) -> Sequence[Received]:
        """Up to so many messages, as soon as there is one."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        if self._asked < WINDOW // 2:
            await self._pull()
        return taken

    async def acknowledge(self, messages: Iterable[Received]) -> None:
        await self.client.post([f"PUB {message.reply} 4\r\n+ACK\r\n".encode() for message in messages])

    async def _pull(self) -> None:
        self._asked += WINDOW
        request = json.dumps({"batch": WINDOW, "expires": _EXPIRES}).encode()
        await self.client.publish(self._next, request, reply=self._inbox)

    def _receive(self, _subject: str, reply: str, block: bytes, body: bytes) -> None:
        if reply:
            self._asked -= 1
            self._waiting.append(Received(reply, block, body))
            self._came.set()

    async def _ask(self, what: str, request: dict[str, object]) -> dict[str, Any]:
        answered = await self.client.request(f"$JS.API.{what}", json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(answered.data)
        if error := answer.get("error"):
            raise RuntimeError(f"{what}: {error}")
        return answer


def _frame(message: Message, inbox: str) -> bytes:
    subject, block, body = message
    return (
        f"HPUB {subject} {inbox} {len(block)} {len(block) + len(body)}\r\n".encode() + block + body + b"\r\n"
    )
