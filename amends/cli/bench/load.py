"""Placing orders: a few each second, many at once, or as many as are dealt with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from nats.aio.msg import Msg

from amends.cli.bench.orders import FINAL, order
from amends.client import Client
from amends.domain import wire
from amends.domain.errors import AmendsError
from amends.examples.order.saga import Order
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings

MOST: Final = 1_000_000
_LEAST_WAITING: Final = 1_000
_WAITING_SECONDS: Final = 2.0
_LOOK_EVERY: Final = 0.2
_STANDSTILL: Final = 60.0
_TIMERS_LATE: Final = 0.001


class StoodStill(AmendsError):
    """No order came to its end for a minute, though some were to be dealt with."""


async def on_time(clock: SystemClock, rate: int, count: int) -> AsyncIterator[tuple[int, datetime]]:
    """So many moments, `rate` a second, each with its number from 0 on, when it has come.

    The event loop counts whole milliseconds, so the last one before a moment is not left to it.
    """
    began = clock.now()
    for number in range(count):
        moment = began + timedelta(seconds=number / rate)
        await clock.sleep(max(0.0, (moment - clock.now()).total_seconds() - _TIMERS_LATE))
        while clock.now() < moment:
            await clock.sleep(0)
        yield number, moment


class Load:
    """Places orders, and knows how many are over. Each is placed once: they are numbered from 0."""

    def __init__(self, client: Client, store: PostgresStore, broker: Broker) -> None:
        self.placed = 0
        self.store = store
        self._client = client
        self._broker = broker
        self._clock = SystemClock()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Load]:
        """On the servers, and in the namespace, of these settings."""
        async with (
            Servers(settings) as servers,
            Client(settings) as client,
            PostgresStore.open(servers.database_url, settings.namespace) as store,
            Broker(servers.nats_url, name="benchmark", namespace=settings.namespace) as broker,
        ):
            yield cls(client, store, broker)

    async def at_once(self, count: int) -> float:
        """Place so many together. Returns the seconds until all are over. Raises `StoodStill`."""
        began = self._clock.now()
        await self.place(count)
        await self.drained()
        return self._since(began)

    async def saturated(self, seconds: float) -> float:
        """Have more orders waiting than can be dealt with, for so many seconds.

        Returns how many came to their end in a second, from the first one placed to the last one over: orders move in
        waves, and of a wave that is cut off nobody can say how much of it was done. Raises `StoodStill`.
        """
        before, began = self.placed, self._clock.now()
        await self._fed(seconds)
        await self.drained()
        return (self.placed - before) / self._since(began)

    async def light(self, rate: int, seconds: float) -> list[float]:
        """Place so many orders a second. Returns how long each took in milliseconds, from when it was due to be placed
        to the message that it is over. Raises `StoodStill`.
        """
        due: dict[str, datetime] = {}
        took: list[float] = []
        told = asyncio.Event()

        async def hear(message: Msg) -> None:
            key = (message.headers or {}).get(wire.KEY, "")
            if key in due and message.subject.rpartition(".")[2] in FINAL:
                took.append(self._since(due.pop(key)) * 1000)
                told.set()

        subject = wire.saga_subject(self._broker.namespace, Order.definition.name, "*")
        subscription = await self._broker.client.subscribe(subject, cb=hear)
        count = round(rate * seconds)
        orders = list(map(order, range(self.placed, self.placed + count)))
        async for number, at in on_time(self._clock, rate, count):
            self.placed += 1
            due[orders[number].order_id] = at
            await self._client.start(Order, orders[number])
        try:
            async with asyncio.timeout(_STANDSTILL):
                while due:
                    told.clear()
                    await told.wait()
        except TimeoutError:
            raise StoodStill(
                f"expected all orders to come to their end; {len(due)} did not in a minute"
            ) from None
        await subscription.unsubscribe()
        return took

    async def drained(self) -> None:
        """Returns when all that was placed is over. Raises `StoodStill`."""
        moved, before = self._clock.now(), -1
        while (over := await self._told()) < self.placed or await self._is_one_left():
            if over > before:
                moved, before = self._clock.now(), over
            elif self._since(moved) > _STANDSTILL:
                raise StoodStill(
                    f"expected {self.placed} orders to come to their end; {over} did, and none within a minute"
                )
            await self._clock.sleep(_LOOK_EVERY / 4)

    async def _fed(self, seconds: float) -> None:
        """Keep enough waiting for the next seconds' work, as far as one can tell from those before."""
        began, before = self._clock.now(), await self._told()
        while (rest := seconds - (past := self._since(began))) > 0:
            over = await self._told()
            rate = (over - before) / past if past else 0.0
            waiting = max(_LEAST_WAITING, round(rate * _WAITING_SECONDS))
            await self.place(waiting - (self.placed - over))
            await self._clock.sleep(min(_LOOK_EVERY, rest))

    async def place(self, count: int) -> None:
        """Place so many more, without waiting for them."""
        numbers = range(self.placed, min(self.placed + max(count, 0), MOST))
        if numbers:
            self.placed = numbers.stop
            await self._client.start_many(Order, map(order, numbers))

    async def _is_one_left(self) -> bool:
        """Whether a saga is unfinished, as the store has it: which costs the same however many were ever placed."""
        return bool(await self.store.outstanding([Order.definition.name], None, 1))

    async def _told(self) -> int:
        """How many messages there are that a saga is over, which costs the broker nothing to tell."""
        ns = self._broker.namespace
        found = await self._broker.api.call(
            f"STREAM.INFO.{wire.stream(ns, 'sagas')}",
            {"subjects_filter": wire.saga_subject(ns, Order.definition.name, "*")},
        )
        by_subject: dict[str, int] = found["state"].get("subjects") or {}
        return sum(by_subject.get(wire.saga_subject(ns, Order.definition.name, end), 0) for end in FINAL)

    def _since(self, then: datetime) -> float:
        return (self._clock.now() - then).total_seconds()
