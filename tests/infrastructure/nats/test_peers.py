"""Inboxes that share a consumer: what belongs together goes to one of them, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from amends.infrastructure.nats import Broker, ConsumerSpec, JetStreamInbox, peers, streams
from amends.infrastructure.ports import Incoming, Outgoing

if TYPE_CHECKING:
    from tests.infrastructure.nats.conftest import OwnServer

STREAMS = streams("amends", timedelta(days=1))
SPEC = ConsumerSpec(
    "AMENDS_EVENTS", "saga-order", ("amends.evt.>",), ack_wait=1.0, keep=30.0, together="Amends-Saga-Id"
)
LONG = 30.0


def messages(sagas: int, of_each: int, prefix: str = "m") -> list[Outgoing]:
    """So many of each saga, those of different sagas mixed."""
    return [
        Outgoing(
            f"{prefix}{saga}-{number}",
            f"amends.evt.service{number}.done",
            {"ce-id": f"{prefix}{saga}-{number}", "Amends-Saga-Id": f"saga-{saga}"},
            f"body {number}".encode(),
        )
        for number in range(of_each)
        for saga in range(sagas)
    ]


class Taking:
    """Takes and acknowledges all that comes to an inbox."""

    def __init__(self, inbox: JetStreamInbox) -> None:
        self.inbox = inbox
        self.found: list[Incoming] = []

    async def take(self, until: asyncio.Event) -> None:
        while not until.is_set():
            taken = await self.inbox.receive(50, 0.1)
            self.found += taken
            await self.inbox.acknowledge(taken)

    @property
    def sagas(self) -> set[str]:
        return {each.headers["Amends-Saga-Id"] for each in self.found}


async def take_all(all_: Sequence[Taking], count: int) -> None:
    """Until there are so many, acknowledged."""
    done = asyncio.Event()
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        for each in all_:
            group.create_task(each.take(done))
        while sum(len(each.found) for each in all_) < count:  # noqa: ASYNC110 - polled within a deadline
            await asyncio.sleep(0.01)
        done.set()


async def acquainted(broker: Broker, *all_: Taking) -> None:
    """Until each of them gets sagas for itself, whoever the broker gives a message to."""
    round_ = 0
    async with asyncio.timeout(LONG):
        while True:
            round_ += 1
            await broker.publisher().publish(messages(21, 6, f"r{round_}-"))
            await take_all(all_, 126)
            sagas = [each.sagas for each in all_]
            for each in all_:
                each.found.clear()
            if all(sagas) and sum(map(len, sagas)) == 21:
                return


async def test_the_messages_of_one_saga_go_to_one_inbox_each_once(own_server: OwnServer) -> None:
    async with AsyncExitStack() as stack:
        brokers = [await stack.enter_async_context(Broker(own_server.url)) for _ in range(3)]
        spec = replace(SPEC, ack_wait=LONG)  # nothing is delivered again because this process was slow
        await brokers[0].ensure(STREAMS, [spec])
        inboxes = [await stack.enter_async_context(broker.inbox([spec])) for broker in brokers]
        taking = [Taking(inbox) for inbox in inboxes]
        await acquainted(brokers[0], *taking)
        sent = messages(60, 10)
        await brokers[0].publisher().publish(sent)
        await take_all(taking, len(sent))
        found = [each for one in taking for each in one.found]
        assert Counter(each.headers["ce-id"] for each in found) == Counter(m.message_id for m in sent)
        assert {each.headers["ce-id"]: (each.subject, each.body) for each in found} == {
            m.message_id: (m.subject, m.body) for m in sent
        }
        assert {each.deliveries for each in found} == {1}
        assert all(len(one.sagas) > 5 for one in taking)
        assert sum(len(one.sagas) for one in taking) == 60
        assert await inboxes[0].handled_until() is None  # all of it is acknowledged


async def test_what_was_passed_on_to_an_inbox_that_died_is_delivered_again(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_FORGET_AFTER", LONG)
    async with Broker(own_server.url) as broker, Broker(own_server.url) as doomed:
        await broker.ensure(STREAMS, [SPEC])
        async with broker.inbox([SPEC]) as inbox, doomed.inbox([SPEC]) as other:
            taking = Taking(inbox)
            await acquainted(broker, taking, Taking(other))
            await doomed.client.close()
            sent = messages(30, 3)
            await broker.publisher().publish(sent)
            await take_all([taking], len(sent))
            assert Counter(each.headers["ce-id"] for each in taking.found) == Counter(
                m.message_id for m in sent
            )
            again = [each for each in taking.found if each.deliveries > 1]
            assert again
            assert len({each.headers["Amends-Saga-Id"] for each in again}) < 30


async def test_an_inbox_that_closes_gets_nothing_more_and_gives_back_what_it_has(
    own_server: OwnServer,
) -> None:
    """At once: well before the broker would deliver it again by itself."""
    spec = replace(SPEC, ack_wait=LONG)
    async with Broker(own_server.url) as broker, Broker(own_server.url) as going:
        await broker.ensure(STREAMS, [spec])
        async with broker.inbox([spec]) as inbox:
            taking = Taking(inbox)
            async with going.inbox([spec]) as other:
                await acquainted(broker, taking, Taking(other))
                await broker.publisher().publish(messages(30, 3, "before-"))
                await other.receive(1, LONG)
            sent = messages(30, 3)
            await broker.publisher().publish(sent)
            async with asyncio.timeout(LONG / 2):
                await take_all([taking], 90 + len(sent) - 1)
            assert {m.message_id for m in sent} <= {each.headers["ce-id"] for each in taking.found}


async def test_a_message_of_another_life_of_the_consumer_is_not_taken(own_server: OwnServer) -> None:
    """Its acknowledgement would hit another message."""
    async with Broker(own_server.url) as broker, Broker(own_server.url) as sender:
        await broker.ensure(STREAMS, [SPEC])
        async with broker.inbox([SPEC]) as inbox:
            assert list(await inbox.receive(1, 0.2)) == []
            heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            def hear(_subject: str, _reply: str, _headers: bytes, body: bytes) -> None:
                if not heard.done():
                    heard.set_result(json.loads(body)["inbox"])

            await sender.client.take("amends.svc.peers", hear)
            name = await asyncio.wait_for(heard, LONG)
            reply = "$JS.ACK.AMENDS_EVENTS.saga-order.1.7.7.1700000000000000000.0"
            await sender.client.publish(f"{name}.00000000.amends.evt.a.b.{reply}", b"x")
            await sender.client.flush()
            assert list(await inbox.receive(1, 0.5)) == []


async def test_inboxes_that_share_nothing_do_not_answer_each_other(own_server: OwnServer) -> None:
    """Each tells of itself once a second, however many others there are."""
    other_spec = replace(SPEC, durable="saga-trip", filter_subjects=("amends.evt.trips.>",))
    told: list[bytes] = []
    async with Broker(own_server.url) as broker, Broker(own_server.url) as other_broker:
        await broker.ensure(STREAMS, [SPEC, other_spec])
        await broker.client.take("amends.svc.peers", lambda *came: told.append(came[3]))
        async with broker.inbox([SPEC]) as inbox, other_broker.inbox([other_spec]) as other:
            await asyncio.gather(inbox.receive(1, 1.5), other.receive(1, 1.5))
    assert 2 < len(told) < 12


ODD = b'{"inbox": "a b.c\\r\\nPUB x 0", "consumers": ["AMENDS_EVENTS/saga-order"], "busy": false}'


@pytest.mark.parametrize("told", [b"", b"{}", b'{"inbox": 1}', b"\xff", ODD])
async def test_what_nobody_understands_is_passed_over(own_server: OwnServer, told: bytes) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [SPEC])
        async with broker.inbox([SPEC]) as inbox:
            assert list(await inbox.receive(1, 0.2)) == []
            await broker.client.publish("amends.svc.peers", told)
            await broker.publisher().publish(messages(1, 1))
            assert len(await inbox.receive(1, LONG)) == 1
