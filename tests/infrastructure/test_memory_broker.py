"""The broker in memory goes by the clock that it is given."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from amends.infrastructure.broker import ConsumerSpec, Intact, Lost, StreamSpec
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.ports import Outgoing

EVENTS = StreamSpec("EVENTS", ("evt.>",), timedelta(hours=1))
SPEC = ConsumerSpec("EVENTS", "saga", ("evt.>",))


class VirtualClock:
    """Time passes when somebody sleeps, and at once."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


def message(identity: str) -> Outgoing:
    return Outgoing(identity, "evt.a", {"ce-id": identity}, b"")


async def test_redelivery_comes_when_the_clock_says_so() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock)
    await broker.ensure([EVENTS], [SPEC])
    await broker.publisher().publish([message("m1")])
    async with broker.inbox([SPEC]) as inbox:
        began = clock.now()
        await inbox.receive(1, None)
        [again] = await inbox.receive(1, None)
        assert clock.now() - began == timedelta(seconds=SPEC.ack_wait)
        assert again.deliveries == 2
        await inbox.acknowledge([again])
        assert await inbox.receive(1, 3600.0) == ()


async def test_ids_and_messages_are_forgotten_with_time() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock)
    await broker.ensure([EVENTS], [SPEC])
    for wait in (0, 119, 2, 3601):
        await clock.sleep(wait)
        await broker.publisher().publish([message("m1")])
    async with broker.inbox([SPEC]) as inbox:
        assert [each.sequence for each in await inbox.receive(10, None)] == [3]


async def test_a_lost_stream_is_told_and_made_again_empty() -> None:
    broker = MemoryBroker(VirtualClock())
    await broker.ensure([EVENTS], [SPEC])
    await broker.publisher().publish([message("m1")])
    async with broker.inbox([SPEC]) as inbox:
        old = await inbox.receive(1, None)
        before = await broker.inspect("EVENTS", None)
        assert isinstance(before, Intact)
        broker.lose("EVENTS")
        assert isinstance(await broker.inspect("EVENTS", before.mark), Lost)
        await broker.ensure([EVENTS], [SPEC])
        assert isinstance(await broker.inspect("EVENTS", before.mark), Lost)
        await broker.publisher().publish([message("m1")])
        [new] = await inbox.receive(1, None)
        await inbox.acknowledge(old)
        assert await inbox.handled_until() == new.received
