"""What the broker on NATS and the one in memory have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amends.infrastructure.broker import (
    NO_MOMENT,
    BrokerClosed,
    ConfiguredOtherwise,
    ConsumerSpec,
    Intact,
    MessageTooLarge,
    PublishFailed,
    StreamMissing,
    StreamSpec,
    Unsendable,
    streams,
)
from amends.infrastructure.embedded import Servers
from amends.infrastructure.memory.broker import MemoryBroker
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Inbox, Incoming, Outgoing
from amends.infrastructure.publishing import publish_all_that_can_be

DAYS = timedelta(days=2)
SOON = 0.3
"""Seconds within which nothing came that is not to come."""
LONG = 10.0
"""Seconds within which everything comes that is to come."""


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


AnyBroker = Broker | MemoryBroker


@pytest.fixture(params=["memory", "nats"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[AnyBroker]:
    if request.param == "memory":
        yield MemoryBroker(WallClock())
        return
    servers: Servers = request.getfixturevalue("servers")
    async with Broker(servers.nats_url, name="contract") as opened:
        yield opened


class Place:
    """A namespace with its streams and a way to name things in it."""

    def __init__(self, broker: AnyBroker, namespace: str) -> None:
        self.broker = broker
        self.namespace = namespace
        self.streams = streams(namespace, DAYS)

    def consumer(self, name: str = "saga-order", *what: str, **options: object) -> ConsumerSpec:
        filters = tuple(f"{self.namespace}.evt.{each}" for each in (what or (">",)))
        return replace(ConsumerSpec(self.streams[1].name, name, filters), **options)  # type: ignore[arg-type]

    def message(self, identity: str, what: str = "pay.paid", body: bytes = b"{}") -> Outgoing:
        return Outgoing(identity, f"{self.namespace}.evt.{what}", {"ce-id": identity}, body)

    async def publish(self, *identities: str, what: str = "pay.paid") -> None:
        publisher = self.broker.publisher()
        await publisher.publish([self.message(each, what) for each in identities])
        await publisher.close()


@pytest.fixture
async def place(broker: AnyBroker, namespace: str) -> Place:
    made = Place(broker, namespace)
    await broker.ensure(made.streams, [])
    return made


def ids(messages: Sequence[Incoming]) -> list[str]:
    return [each.headers["ce-id"] for each in messages]


async def collect(inbox: Inbox, count: int) -> list[Incoming]:
    found: list[Incoming] = []
    async with asyncio.timeout(LONG):
        while len(found) < count:
            found += await inbox.receive(count - len(found), None)
    return found


async def test_messages_come_in_order_with_what_the_broker_knows(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    before = datetime.now(UTC) - timedelta(seconds=5)
    wanted = [f"m{number}" for number in range(2500)]
    await place.publish(*wanted)
    async with place.broker.inbox([spec]) as inbox:
        found = await collect(inbox, len(wanted))
        await inbox.acknowledge(found)
    assert ids(found) == wanted
    assert [each.sequence for each in found] == list(range(1, 2501))
    first = found[0]
    assert (first.subject, first.body) == (f"{place.namespace}.evt.pay.paid", b"{}")
    assert (first.deliveries, first.consumer) == (1, "saga-order")
    assert before < first.received < datetime.now(UTC) + timedelta(seconds=5)


async def test_receive_returns_as_soon_as_there_is_one_and_empty_after_the_timeout(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    async with place.broker.inbox([spec]) as inbox:
        assert list(await inbox.receive(10, 0.05)) == []
        waiting = asyncio.create_task(inbox.receive(10, None))
        await place.publish("m1")
        async with asyncio.timeout(LONG):
            assert ids(await waiting) == ["m1"]


async def test_no_more_than_the_limit_at_once(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    await place.publish("m1", "m2", "m3")
    async with place.broker.inbox([spec]) as inbox:
        assert len(await inbox.receive(2, LONG)) <= 2


async def test_a_message_with_a_known_id_is_stored_once(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    await place.publish("m1", "m2", "m1")
    await place.publish("m2")
    again = replace(place.message("m1"), deduplication_id="m1 after a loss")
    await place.broker.publisher().publish([again])
    async with place.broker.inbox([spec]) as inbox:
        assert ids(await collect(inbox, 3)) == ["m1", "m2", "m1"]
        assert list(await inbox.receive(1, SOON)) == []


async def test_what_is_not_acknowledged_is_delivered_again(place: Place) -> None:
    spec = place.consumer(ack_wait=0.5)
    await place.broker.ensure([], [spec])
    await place.publish("m1", "m2")
    async with place.broker.inbox([spec]) as inbox:
        first, second = await collect(inbox, 2)
        await inbox.acknowledge([first])
        [again] = await collect(inbox, 1)
        assert (again.headers["ce-id"], again.sequence, again.deliveries) == ("m2", second.sequence, 2)
        await inbox.acknowledge([again])
        assert list(await inbox.receive(1, 1.0)) == []


async def test_a_cancelled_receive_loses_nothing(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    wanted = [f"m{number}" for number in range(200)]
    found: list[Incoming] = []

    async def take(inbox: Inbox) -> None:
        found.extend(await inbox.receive(3, None))

    async with place.broker.inbox([spec]) as inbox:
        publishing = asyncio.create_task(place.publish(*wanted))
        async with asyncio.timeout(LONG):
            while len(found) < len(wanted):
                task = asyncio.create_task(take(inbox))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                found.extend(await inbox.receive(3, 0.01))
        await publishing
    assert ids(found) == wanted
    assert {each.deliveries for each in found} == {1}


async def test_consumers_have_their_filters_and_their_own_acknowledgements(place: Place) -> None:
    payments, all_of_it = place.consumer("payments", "pay.*", "pay.card.>"), place.consumer("all")
    await place.broker.ensure([], [payments, all_of_it])
    await place.publish("m1", what="pay.paid")
    await place.publish("m2", what="stock.reserved")
    await place.publish("m3", what="pay.card.declined")
    async with place.broker.inbox([payments]) as inbox:
        assert ids(await collect(inbox, 2)) == ["m1", "m3"]
        assert list(await inbox.receive(1, SOON)) == []
    async with place.broker.inbox([all_of_it]) as inbox:
        assert ids(await collect(inbox, 3)) == ["m1", "m2", "m3"]


async def test_one_inbox_serves_several_consumers(place: Place) -> None:
    one, other = place.consumer("one", "pay.>"), place.consumer("other", "stock.>")
    await place.broker.ensure([], [one, other])
    await place.publish("m1", what="pay.paid")
    await place.publish("m2", what="stock.reserved")
    async with place.broker.inbox([one, other]) as inbox:
        found = await collect(inbox, 2)
        assert {(each.consumer, each.headers["ce-id"]) for each in found} == {("one", "m1"), ("other", "m2")}


async def test_two_inboxes_of_one_consumer_share_its_messages(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    wanted = {f"m{number}" for number in range(100)}
    async with place.broker.inbox([spec], buffer=10) as one, place.broker.inbox([spec], buffer=10) as other:
        await place.publish(*wanted)
        found: list[str] = []
        async with asyncio.timeout(LONG):
            while len(found) < len(wanted):
                for inbox in (one, other):
                    messages = await inbox.receive(7, 0.05)
                    await inbox.acknowledge(messages)
                    found += ids(messages)
    assert sorted(found) == sorted(wanted)


async def test_a_new_consumer_begins_as_specified(place: Place) -> None:
    await place.publish("old")
    new, everything = place.consumer("new", deliver="new"), place.consumer("all", deliver="all")
    later = place.consumer("later", deliver="all")
    await place.broker.ensure([], [new, everything])
    await place.broker.ensure([], [later], {later.place: 2})
    await place.publish("young")
    async with place.broker.inbox([new]) as inbox:
        assert ids(await collect(inbox, 1)) == ["young"]
    async with place.broker.inbox([everything]) as inbox:
        assert ids(await collect(inbox, 2)) == ["old", "young"]
    async with place.broker.inbox([later]) as inbox:
        assert ids(await collect(inbox, 1)) == ["young"]


async def test_nothing_of_a_paused_consumer_is_asked_for(place: Place) -> None:
    one, other = place.consumer("one", "pay.>"), place.consumer("other", "stock.>")
    await place.broker.ensure([], [one, other])
    async with place.broker.inbox([one, other]) as inbox:
        inbox.pause("one")
        await place.publish("m1", what="pay.paid")
        await place.publish("m2", what="stock.reserved")
        assert ids(await collect(inbox, 1)) == ["m2"]
        assert list(await inbox.receive(1, SOON)) == []
        inbox.resume("one")
        assert ids(await collect(inbox, 1)) == ["m1"]


async def test_what_a_closed_inbox_did_not_hand_out_is_had_by_another_at_once(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    wanted = [f"m{number}" for number in range(20)]
    await place.publish(*wanted)
    async with place.broker.inbox([spec]) as inbox:
        first = await inbox.receive(1, LONG)
        await inbox.acknowledge(first)
    async with place.broker.inbox([spec]) as other:
        assert sorted(ids(await collect(other, 19))) == sorted(set(wanted) - set(ids(first)))
    with pytest.raises(BrokerClosed):
        await inbox.receive(1, None)


async def test_messages_of_a_paused_consumer_do_not_count_as_unhandled(place: Place) -> None:
    await place.broker.ensure([], [place.consumer("one")])
    async with place.broker.inbox([place.consumer("one")]) as inbox:
        inbox.pause("one")
        await place.publish("a")
        assert await inbox.handled_until() is None
        inbox.resume("one")
        assert await inbox.handled_until() is not None


async def test_handled_until_is_the_arrival_of_the_first_unacknowledged_message(place: Place) -> None:
    spec = place.consumer("one", "pay.paid", "stock.reserved")
    await place.broker.ensure([], [spec])
    async with place.broker.inbox([spec]) as inbox:
        assert await inbox.handled_until() is None
        await place.publish("other", what="pay.refused")
        await place.publish("m1", what="stock.reserved")
        await place.publish("m2", "m3")
        first, second, third = await collect(inbox, 3)
        assert await inbox.handled_until() == first.received
        await inbox.acknowledge([second])
        assert await inbox.handled_until() == first.received
        await inbox.acknowledge([first])
        await until_handled(inbox, third.received)
        await place.publish("m4")
        assert await inbox.handled_until() == third.received
        await inbox.acknowledge([third])
        [last] = await collect(inbox, 1)
        await until_handled(inbox, last.received)
        await inbox.acknowledge([last])
        await until_handled(inbox, None)


async def until_handled(inbox: Inbox, moment: datetime | None) -> None:
    """Acknowledgements are not answered; they count when the broker has read them."""
    async with asyncio.timeout(LONG):
        while await inbox.handled_until() != moment:  # noqa: ASYNC110 -- the broker does not tell
            await asyncio.sleep(0.01)


async def test_handled_until_covers_what_other_workers_hold_and_all_consumers(place: Place) -> None:
    one, other = place.consumer("one", "pay.>"), place.consumer("other", "stock.>")
    await place.broker.ensure([], [one, other])
    await place.publish("m1", what="pay.paid")
    await place.publish("m2", what="stock.reserved")
    async with place.broker.inbox([one]) as elsewhere, place.broker.inbox([one, other]) as here:
        [held] = await collect(elsewhere, 1)
        [mine] = await collect(here, 1)
        assert await here.handled_until() == held.received
        await elsewhere.acknowledge([held])
        await until_handled(here, mine.received)


async def test_nothing_is_handled_while_a_consumer_is_missing(place: Place) -> None:
    there, missing = place.consumer("there"), place.consumer("missing")
    await place.broker.ensure([], [there])
    async with place.broker.inbox([there, missing]) as inbox:
        assert await inbox.handled_until() == NO_MOMENT
        await place.broker.ensure([], [missing])
        assert await inbox.handled_until() is None


async def test_a_consumer_that_begins_later_than_it_should_is_made_anew(place: Place) -> None:
    """It was meant for a stream that is lost; in the new one it would skip what comes first."""
    spec = place.consumer()
    await place.broker.ensure([], [spec], {spec.place: 112})
    await place.publish("m1", "m2")
    async with place.broker.inbox([spec]) as inbox:
        assert not await inbox.receive(1, SOON)
        await place.broker.ensure([], [spec], {spec.place: 1})
        found = await collect(inbox, 2)
        assert ids(found) == ["m1", "m2"]
        await inbox.acknowledge(found)
        await until_handled(inbox, None)
        await place.broker.ensure([], [spec], {spec.place: 3})
        await place.broker.ensure([], [spec], {spec.place: 1})
        assert not await inbox.receive(1, SOON)  # it began with the first, and is left alone


async def test_a_consumer_is_not_made_where_its_stream_is_missing(place: Place) -> None:
    spec = ConsumerSpec(f"{place.namespace}_NOWHERE", "saga-order", (f"{place.namespace}.evt.>",))
    with pytest.raises(StreamMissing, match="_NOWHERE to be there for consumer saga-order"):
        await place.broker.ensure([], [spec])


async def test_a_message_that_no_stream_takes_is_refused_and_the_others_are_stored(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    nowhere = Outgoing("lost", f"{place.namespace}x.evt.pay.paid", {}, b"")
    publisher = place.broker.publisher(no_stream_within=0.2)
    with pytest.raises(PublishFailed, match="no stream") as failed:
        await publisher.publish([place.message("m1"), nowhere, place.message("m2")])
    assert failed.value.messages == (nowhere,)
    async with place.broker.inbox([spec]) as inbox:
        assert ids(await collect(inbox, 2)) == ["m1", "m2"]


async def test_a_full_stream_refuses_and_says_so(broker: AnyBroker, namespace: str) -> None:
    spec = StreamSpec(f"{namespace}_FULL", (f"{namespace}.>",), DAYS, discard="new", max_messages=2)
    await broker.ensure([spec], [])
    messages = [Outgoing(f"m{number}", f"{namespace}.a", {}, b"") for number in range(3)]
    with pytest.raises(PublishFailed, match="maximum messages exceeded") as failed:
        await broker.publisher().publish(messages)
    assert failed.value.messages == (messages[2],)


async def test_a_message_that_is_too_large_is_refused_before_anything_is_sent(place: Place) -> None:
    large = replace(place.message("large"), body=b"x" * 1024 * 1024)
    publisher = place.broker.publisher()
    with pytest.raises(
        MessageTooLarge, match=r"large on .*pay\.paid: 1048\d\d\d bytes .* at most 1048576"
    ) as failed:
        await publisher.publish([place.message("m1"), large])
    assert failed.value.messages == (large,)
    with pytest.raises(MessageTooLarge):
        publisher.check([large])
    verdict = await place.broker.inspect(place.streams[1].name, None)
    assert isinstance(verdict, Intact)
    assert verdict.mark is not None
    assert verdict.mark.sequence == 0


async def test_what_cannot_be_sent_holds_up_nothing_else(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    messages = [
        place.message("m1"),
        replace(place.message("large"), body=b"x" * 1024 * 1024),
        place.message("m2"),
        replace(place.message("bad"), subject=f"{place.namespace}.evt.a b"),
        replace(place.message("nowhere"), subject=f"{place.namespace}.none"),
        place.message("m3"),
    ]
    publisher = place.broker.publisher(no_stream_within=0.0)
    refused = await publish_all_that_can_be(publisher, messages)
    assert {identity: each.message.message_id for identity, each in refused.items()} == {
        "large": "large",
        "bad": "bad",
        "nowhere": "nowhere",
    }
    async with place.broker.inbox([spec]) as inbox:
        assert [each.headers["ce-id"] for each in await collect(inbox, 3)] == ["m1", "m2", "m3"]


@pytest.mark.parametrize(
    "headers",
    [{"a": "x\r\ny"}, {"a": "x\ny"}, {"a": " x"}, {"a": "x\t"}, {"a b": "x"}, {"": "x"}, {"a": "\ud800"}],
)
async def test_a_header_that_would_not_arrive_as_it_is_is_refused(
    place: Place, headers: dict[str, str]
) -> None:
    with pytest.raises(Unsendable):
        await place.broker.publisher().publish([replace(place.message("m1"), headers=headers)])
    with pytest.raises(Unsendable):
        await place.broker.publisher().publish([replace(place.message("m1"), subject="a b")])


async def test_headers_and_bodies_arrive_as_they_were(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    headers = {"ce-id": "m1", "Amends-Key": "Größe: ¼ → 😀", "empty": "", "colon": "a:b: c"}
    body = bytes(range(256)) + b"\r\n\r\n"
    await place.broker.publisher().publish([replace(place.message("m1"), headers=headers, body=body)])
    async with place.broker.inbox([spec]) as inbox:
        [found] = await collect(inbox, 1)
    assert {name: found.headers[name] for name in headers} == headers
    assert found.body == body


async def test_ensure_may_be_repeated_and_by_several_at_once(place: Place) -> None:
    spec = place.consumer()
    await asyncio.gather(*(place.broker.ensure(place.streams, [spec]) for _ in range(5)))
    await place.broker.ensure([replace(each, replicas=1) for each in place.streams], [spec])


async def test_a_stream_that_is_configured_otherwise_is_refused_and_left_alone(place: Place) -> None:
    events = place.streams[1]
    with pytest.raises(ConfiguredOtherwise, match="max_age") as refused:
        await place.broker.ensure([replace(events, max_age=timedelta(days=1))], [])
    assert set(refused.value.differences) == {"max_age"}
    assert "expected" in str(refused.value)
    assert "found" in str(refused.value)
    await place.broker.ensure([events], [])


async def test_a_consumer_that_is_configured_otherwise_is_refused_and_left_alone(place: Place) -> None:
    spec = place.consumer()
    await place.broker.ensure([], [spec])
    other = replace(spec, ack_wait=5.0, max_ack_pending=7)
    with pytest.raises(ConfiguredOtherwise) as refused:
        await place.broker.ensure([], [other])
    assert set(refused.value.differences) == {"ack_wait", "max_ack_pending"}
    await place.broker.ensure([], [spec])


async def test_a_consumers_filters_are_extended_and_never_cut(place: Place) -> None:
    await place.broker.ensure([], [place.consumer("one", "pay.paid", "pay.refused")])
    both = place.consumer("one", "pay.paid", "pay.refused", "stock.reserved", "stock.*")
    await place.broker.ensure([], [both])
    await place.broker.ensure([], [place.consumer("one", "pay.paid")])
    await place.publish("m1", what="pay.refused")
    await place.publish("m2", what="stock.reserved")
    await place.publish("m3", what="ship.shipped")
    async with place.broker.inbox([both]) as inbox:
        found = await collect(inbox, 2)
        assert ids(found) == ["m1", "m2"]
        assert list(await inbox.receive(1, SOON)) == []


async def test_ensure_tells_up_to_where_all_is_acknowledged(place: Place) -> None:
    spec = place.consumer()
    assert await place.broker.ensure([], [spec]) == {spec.place: 0}
    await place.publish("m1", "m2", "m3")
    async with place.broker.inbox([spec]) as inbox:
        first, second, third = await collect(inbox, 3)
        await inbox.acknowledge([first, third])
        await until_handled(inbox, second.received)
        assert await place.broker.ensure([], [spec]) == {spec.place: 1}


async def test_a_stream_is_intact_while_it_grows(place: Place) -> None:
    name = place.streams[1].name
    empty = await place.broker.inspect(name, None)
    assert isinstance(empty, Intact)
    await place.publish("m1", "m2")
    filled = await place.broker.inspect(name, empty.mark)
    assert isinstance(filled, Intact)
    assert filled.mark is not None
    assert (filled.mark.sequence, filled.mark.message_id) == (2, "m2")
    await place.publish("m3")
    assert isinstance(await place.broker.inspect(name, filled.mark), Intact)
    assert await place.broker.inspect(f"{name}_2", None) == Intact(None)
