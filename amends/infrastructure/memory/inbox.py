"""The inbox of the broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from amends.infrastructure.broker import NO_MOMENT, BrokerClosed, ConsumerSpec
from amends.infrastructure.memory.streams import Consumer, Stored
from amends.infrastructure.ports import Clock, Incoming


class MemoryInbox:
    """Messages of a memory broker's consumers, oldest first."""

    def __init__(
        self, find: Callable[[ConsumerSpec], Consumer | None], clock: Clock, consumers: Sequence[ConsumerSpec]
    ) -> None:
        self._find = find
        self._clock = clock
        self._specs = consumers
        self._streams = {spec.stream for spec in consumers}
        self._paused: set[str] = set()
        self._closed = False
        self._waiting: dict[asyncio.Event, None] = {}  # in the order in which they began

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def receive(self, limit: int, timeout: float | None) -> Sequence[Incoming]:
        """Up to `limit` messages, as soon as there is one; none after `timeout` seconds (None: no limit)."""
        until = None if timeout is None else self._clock.now() + timedelta(seconds=timeout)
        while True:
            if self._closed:
                raise BrokerClosed("the inbox has been closed")
            now = self._clock.now()
            if taken := self._take(limit, now):
                return taken
            if until is not None and now >= until:
                return ()
            await self._wait(self._next_moment(until, now))

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Tell the broker that these are done with."""
        for message in messages:
            consumer: Consumer = message.token
            consumer.acknowledge(message.sequence)

    async def handled_until(self) -> datetime | None:
        """All that the broker received before this moment is acknowledged; None: all of it, as of now.

        `NO_MOMENT` where a consumer is missing.
        """
        now = self._clock.now()
        found = [self._find(spec) for spec in self._specs if spec.durable not in self._paused]
        moments = [each.first_unacknowledged(now) if each else NO_MOMENT for each in found]
        return min((each for each in moments if each is not None), default=None)

    def pause(self, durable: str) -> None:
        """Deliver no more messages of this consumer."""
        self._paused.add(durable)

    def resume(self, durable: str) -> None:
        """Deliver this consumer's messages again."""
        self._paused.discard(durable)
        self.news()

    async def close(self) -> None:
        """No more is delivered here."""
        self._closed = True
        self.news()

    def reads(self, stream: str) -> bool:
        """Whether it has a consumer of this stream."""
        return stream in self._streams

    def news(self) -> None:
        """Something may have changed for those who receive."""
        for each in self._waiting:
            each.set()

    async def _wait(self, seconds: float | None) -> None:
        """Until there is news, and so many seconds at the most."""
        news = asyncio.Event()
        self._waiting[news] = None
        timer = None if seconds is None else asyncio.create_task(self._sleep(seconds))
        if timer is not None:
            timer.add_done_callback(lambda _: news.set())
        try:
            await news.wait()
        finally:
            del self._waiting[news]
            if timer is not None:
                timer.cancel()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def _consumers(self) -> list[Consumer]:
        found = (self._find(spec) for spec in self._specs)
        return [each for each in found if each is not None]

    def _take(self, limit: int, now: datetime) -> list[Incoming]:
        ready: list[tuple[Stored, Consumer]] = []
        for consumer in self._consumers():
            if consumer.spec.durable not in self._paused:
                ready += [
                    (each, consumer) for each, _ in zip(consumer.ready(now), range(limit), strict=False)
                ]
        ready.sort(key=lambda each: each[0].order)
        return [_incoming(message, consumer, now) for message, consumer in ready[:limit]]

    def _next_moment(self, until: datetime | None, now: datetime) -> float | None:
        """In how many seconds something happens by itself: the time is up, or there is a redelivery."""
        active = (each for each in self._consumers() if each.spec.durable not in self._paused)
        moments = (each.next_redelivery() for each in active)
        first = min((each for each in (until, *moments) if each is not None), default=None)
        return None if first is None else max((first - now).total_seconds(), 0.0)


def _incoming(message: Stored, consumer: Consumer, now: datetime) -> Incoming:
    return Incoming(
        message.subject,
        message.headers,
        message.body,
        message.received,
        message.sequence,
        consumer.deliver(message, now),
        consumer.spec.durable,
        consumer,
    )
