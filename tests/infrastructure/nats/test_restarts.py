"""The server dies under publishers and inboxes, and what was accepted is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from amends.infrastructure.nats import Broker, ConsumerSpec, JetStreamInbox, streams
from amends.infrastructure.ports import Incoming, Outgoing

if TYPE_CHECKING:
    from tests.infrastructure.nats.conftest import OwnServer

STREAMS = streams("t", timedelta(days=1))
SPEC = ConsumerSpec("T_EVENTS", "saga-order", ("t.evt.>",))
LONG = 30.0


def messages(count: int, prefix: str = "m") -> list[Outgoing]:
    return [
        Outgoing(f"{prefix}{each}", "t.evt.a", {"ce-id": f"{prefix}{each}"}, b"x" * 200)
        for each in range(count)
    ]


def ids(found: Sequence[Incoming]) -> list[str]:
    return [each.headers["ce-id"] for each in found]


async def collect(inbox: JetStreamInbox, count: int) -> list[Incoming]:
    found: list[Incoming] = []
    async with asyncio.timeout(LONG):
        while len(found) < count:
            found += await inbox.receive(count - len(found), None)
    return found


async def stored(broker: Broker) -> int:
    info = await broker.api.stream("T_EVENTS")
    assert info is not None
    count: int = info["state"]["messages"]
    return count


@pytest.mark.parametrize("kill", [True, False])
async def test_a_publish_goes_on_after_a_restart_and_stores_each_message_once(
    own_server: OwnServer, kill: bool
) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        publisher = broker.publisher(window=100)
        publishing = asyncio.create_task(publisher.publish(messages(5000)))
        for wanted in (500, 1500, 2500):
            async with asyncio.timeout(4):  # what was on its way is sent again at once, not after a time
                while await stored(broker) < wanted:
                    pass
            assert not publishing.done()
            await own_server.restart(kill=kill)
        async with asyncio.timeout(4):
            await publishing
        assert await stored(broker) == 5000


async def test_calls_at_once_share_the_window(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        for window in (1, 10):
            publisher = broker.publisher(window)
            calls = [publisher.publish(messages(200, f"w{window}-{each}-")) for each in range(5)]
            async with asyncio.timeout(4):
                await asyncio.gather(*calls)
        assert await stored(broker) == 2000


async def test_a_publish_waits_for_a_stream_that_is_made_again(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        publishing = asyncio.create_task(broker.publisher().publish(messages(10)))
        await asyncio.wait({publishing}, timeout=0.5)
        assert not publishing.done()
        await broker.ensure(STREAMS, [])
        async with asyncio.timeout(4):
            await publishing
        assert await stored(broker) == 10


async def test_a_publish_waits_while_the_server_is_away(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        publisher = broker.publisher()
        await own_server.stop(kill=True)
        publishing = asyncio.create_task(publisher.publish(messages(10)))
        await asyncio.wait({publishing}, timeout=1.0)
        assert not publishing.done()
        await own_server.start()
        async with asyncio.timeout(LONG):
            await publishing
        assert await stored(broker) == 10


async def test_a_cancelled_publish_leaves_nothing_behind(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        publisher = broker.publisher(window=10)
        await own_server.stop(kill=True)
        publishing = asyncio.create_task(publisher.publish(messages(1000)))
        await asyncio.wait({publishing}, timeout=0.1)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await own_server.start()
        await publisher.publish(messages(10, "n"))
        assert await stored(broker) == 10


async def test_an_idle_inbox_hears_of_messages_after_a_restart(own_server: OwnServer) -> None:
    """A pull request does not survive the server; a new one must follow at once, not after the old one's
    time.
    """
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [SPEC])
        async with broker.inbox([SPEC]) as inbox:
            for turn in range(3):
                waiting = asyncio.create_task(inbox.receive(10, None))
                await asyncio.wait({waiting}, timeout=0.2)
                await own_server.restart()
                await broker.publisher().publish(messages(1, f"turn{turn}-"))
                async with asyncio.timeout(5):
                    found = await waiting
                assert ids(found) == [f"turn{turn}-0"]
                await inbox.acknowledge(found)


@pytest.mark.parametrize("kill", [True, False])
async def test_restarts_in_the_middle_of_receiving_lose_nothing(own_server: OwnServer, kill: bool) -> None:
    """What went into the broken connection comes again after `ack_wait`.

    A killed server also forgets the acknowledgements that it had not yet written; one that stops
    in order does not.
    """
    spec = replace(SPEC, ack_wait=2.0)
    found: list[Incoming] = []

    async def take(inbox: JetStreamInbox) -> None:
        batch = await inbox.receive(50, 0.2)
        await inbox.acknowledge(batch)
        found.extend(batch)

    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [spec])
        await broker.publisher().publish(messages(5000))
        async with asyncio.timeout(LONG), broker.inbox([spec], buffer=100) as inbox:
            for turn in range(1, 4):
                while len(found) < turn * 1000:
                    await take(inbox)
                await own_server.restart(kill=kill)
            while await inbox.handled_until() is not None:
                await take(inbox)
    assert sorted(set(ids(found))) == sorted(f"m{each}" for each in range(5000))
    assert kill or len(found) < 5000 + 3 * 200


async def test_what_was_received_before_a_restart_is_acknowledged_after_it(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [SPEC])
        await broker.publisher().publish(messages(3))
        async with broker.inbox([SPEC]) as inbox:
            found = await collect(inbox, 3)
            await own_server.stop()  # in order: a killed one may not remember that it delivered them
            await inbox.acknowledge(found)
            await own_server.start()
            async with asyncio.timeout(5):
                while await inbox.handled_until() is not None:  # noqa: ASYNC110 -- the broker does not tell
                    await asyncio.sleep(0.05)


async def test_what_an_empty_broker_stored_is_not_acknowledged_for_what_was_there_before(
    own_server: OwnServer,
) -> None:
    async with Broker(own_server.url) as broker, Broker(own_server.url) as other:
        await broker.ensure(STREAMS, [SPEC])
        await broker.publisher().publish(messages(6))
        async with broker.inbox([SPEC]) as inbox:
            before = await collect(inbox, 3)  # the others stay in the buffer
            await own_server.restart(empty=True)
            await inbox.acknowledge(before[:1])
            await other.ensure(STREAMS, [SPEC])
            await other.publisher().publish(messages(6, "new"))
            after: list[Incoming] = []
            async with asyncio.timeout(LONG):
                while len(after) < 6:
                    for each in await inbox.receive(10, None):
                        (after if ids([each])[0].startswith("new") else before).append(each)
            await inbox.acknowledge(before)
            assert ids(after) == [f"new{each}" for each in range(6)]
            assert await inbox.handled_until() == after[0].received


async def test_what_took_the_place_of_a_lost_tail_is_not_acknowledged_for_it(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker, Broker(own_server.url) as other:
        await broker.ensure(STREAMS, [SPEC])
        await own_server.stop()
        copy = own_server.store.with_name("copy")
        shutil.copytree(own_server.store, copy)
        await own_server.start()
        async with broker.inbox([SPEC]) as inbox:
            await broker.publisher().publish(messages(3))
            before = await collect(inbox, 3)
            await own_server.stop()
            shutil.rmtree(own_server.store)
            copy.rename(own_server.store)
            await own_server.start()
            await other.publisher().publish(messages(6, "new"))
            after = await collect(inbox, 6)
            await inbox.acknowledge(before)
            assert ids(after) == [f"new{each}" for each in range(6)]
            assert await inbox.handled_until() == after[0].received


async def test_a_consumer_that_is_deleted_and_made_again_is_pulled_from_again(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [SPEC])
        gone = asyncio.Event()
        broker.consumer_gone.listen(gone.set)
        async with broker.inbox([SPEC]) as inbox:
            waiting = asyncio.create_task(inbox.receive(10, None))
            await asyncio.wait({waiting}, timeout=0.2)
            await broker.api.call("CONSUMER.DELETE.T_EVENTS.saga-order")
            async with asyncio.timeout(5):
                await gone.wait()
            await broker.ensure(STREAMS, [SPEC])
            await broker.publisher().publish(messages(1))
            async with asyncio.timeout(5):
                assert ids(await waiting) == ["m0"]


async def test_a_message_that_waited_long_in_the_buffer_is_not_handled_twice(own_server: OwnServer) -> None:
    spec = ConsumerSpec("T_EVENTS", "slow", ("t.evt.>",), ack_wait=1.0)
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [spec])
        await broker.publisher().publish(messages(3))
        async with broker.inbox([spec]) as inbox:
            [first] = await inbox.receive(1, LONG)
            await inbox.acknowledge([first])
            await asyncio.sleep(0.7)  # more than half of ack_wait: it is told that this one is in progress
            [second] = await inbox.receive(1, LONG)
            await asyncio.sleep(0.7)  # the third one is too old by now
            await inbox.acknowledge([second])
            [third] = await collect(inbox, 1)
            await inbox.acknowledge([third])
            assert (second.headers["ce-id"], second.deliveries) == ("m1", 1)
            assert (third.headers["ce-id"], third.deliveries) == ("m2", 2)
            assert list(await inbox.receive(1, 1.5)) == []


async def test_what_is_kept_is_delivered_to_nobody_else_while_its_inbox_lives(own_server: OwnServer) -> None:
    """Whether it waits in the buffer or is in hand; when the inbox dies, it does not take long."""
    spec = ConsumerSpec("T_EVENTS", "kept", ("t.evt.>",), ack_wait=0.6, keep=LONG)
    async with Broker(own_server.url) as broker, Broker(own_server.url) as doomed:
        await broker.ensure(STREAMS, [spec])
        await broker.publisher().publish(messages(2))
        async with broker.inbox([spec]) as other, doomed.inbox([spec]) as inbox:
            [first] = await inbox.receive(1, LONG)
            assert list(await other.receive(2, 2.0)) == []
            [second] = await inbox.receive(1, 0)
            assert ids([first, second]) == ["m0", "m1"]
            await inbox.acknowledge([first])
            await doomed.client.close()
            [again] = await other.receive(2, 3.0)
            assert (ids([again]), again.deliveries) == (["m1"], 2)


async def test_what_is_kept_for_too_long_goes_to_another(own_server: OwnServer) -> None:
    spec = ConsumerSpec("T_EVENTS", "kept", ("t.evt.>",), ack_wait=0.6, keep=1.0)
    async with Broker(own_server.url) as broker, Broker(own_server.url) as stuck:
        await broker.ensure(STREAMS, [spec])
        await broker.publisher().publish(messages(1))
        async with stuck.inbox([spec]) as inbox, broker.inbox([spec]) as other:
            [first] = await inbox.receive(1, LONG)
            [again] = await other.receive(1, LONG)
            assert again.received == first.received
            assert again.deliveries > 1


async def test_large_messages_do_not_fill_the_memory_or_stop_the_inbox(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [SPEC])
        large = [
            Outgoing(f"m{each}", "t.evt.a", {"ce-id": f"m{each}"}, b"x" * 1_000_000) for each in range(60)
        ]
        await broker.publisher().publish(large)
        async with broker.inbox([SPEC]) as inbox:
            found = await collect(inbox, 60)
            assert ids(found) == [f"m{each}" for each in range(60)]
            assert {each.deliveries for each in found} == {1}
