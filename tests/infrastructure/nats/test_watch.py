"""Whatever the broker loses is noticed and told, once it is ready to take it again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from amends.infrastructure.nats import (
    Broker,
    BrokerWatch,
    ConfiguredOtherwise,
    ConsumerSpec,
    Intact,
    JetStreamInbox,
    Lost,
    Mark,
    configure,
    streams,
)
from amends.infrastructure.nats.api import ApiError
from amends.infrastructure.ports import Outgoing

if TYPE_CHECKING:
    from tests.infrastructure.nats.conftest import Marks, OwnServer

STREAMS = streams("t", timedelta(days=1))
EVENTS = STREAMS[1].name
SPEC = ConsumerSpec(EVENTS, "start-order", ("t.evt.>",), deliver="new")
ALL = {each.name for each in STREAMS}
LONG = 15.0


class Losses:
    """Counts what is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.told: list[set[str]] = []
        self.event = asyncio.Event()

    async def __call__(self, lost: set[str]) -> None:
        self.told.append(lost)
        self.event.set()

    async def next(self) -> set[str]:
        async with asyncio.timeout(LONG):
            await self.event.wait()
        self.event.clear()
        return self.told[-1]


def watching(broker: Broker, marks: Marks, losses: Losses, interval: float = 60.0) -> BrokerWatch:
    return BrokerWatch(broker, STREAMS, [SPEC], marks, losses, interval)


async def publish(broker: Broker, *identities: str) -> None:
    publisher = broker.publisher()
    await publisher.publish([Outgoing(each, "t.evt.a", {"ce-id": each}, b"{}") for each in identities])
    await publisher.close()


async def take(inbox: JetStreamInbox, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(LONG):
        while len(found) < count:
            messages = await inbox.receive(count - len(found), None)
            await inbox.acknowledge(messages)
            found += [each.headers["ce-id"] for each in messages]
    return found


async def test_a_first_start_and_a_restart_are_no_loss(own_server: OwnServer, marks: Marks) -> None:
    losses = Losses()
    async with Broker(own_server.url) as broker:
        async with watching(broker, marks, losses):
            await publish(broker, "m1", "m2")
        async with watching(broker, marks, losses):
            again = asyncio.Event()
            broker.reconnected.listen(again.set)
            await own_server.restart(kill=False)
            await again.wait()
            await publish(broker, "m3")
        async with watching(broker, marks, losses):
            assert marks.marks[EVENTS].sequence == 3
            assert marks.marks[EVENTS].message_id == "m3"
    assert losses.told == []


async def test_a_deleted_store_is_told_at_once_and_the_streams_are_ready(
    own_server: OwnServer, marks: Marks
) -> None:
    async with Broker(own_server.url) as broker:

        async def send_again(lost: set[str]) -> None:
            await publish(broker, "again1", "again2")
            await losses(lost)

        losses = Losses()
        async with (
            BrokerWatch(broker, STREAMS, [SPEC], marks, send_again, 60.0),
            broker.inbox([SPEC]) as inbox,
        ):
            await publish(broker, "m1", "m2", "m3")
            assert await take(inbox, 3) == ["m1", "m2", "m3"]
            await own_server.restart(empty=True)
            assert await losses.next() == ALL
            assert await take(inbox, 2) == ["again1", "again2"]
        assert len(losses.told) == 1


async def test_a_store_that_was_deleted_while_nobody_looked_is_told_at_the_start(
    own_server: OwnServer, marks: Marks
) -> None:
    losses = Losses()
    async with Broker(own_server.url) as broker, watching(broker, marks, losses):
        await publish(broker, "m1")
    await own_server.restart(empty=True)
    async with Broker(own_server.url) as broker, watching(broker, marks, losses):
        assert losses.told == [ALL]
    async with Broker(own_server.url) as broker, watching(broker, marks, losses):
        assert losses.told == [ALL]


async def test_a_crash_while_it_is_told_tells_it_again(own_server: OwnServer, marks: Marks) -> None:
    async with Broker(own_server.url) as broker:
        async with watching(broker, marks, Losses()):
            pass
        await own_server.restart(empty=True)

        async def crash(lost: set[str]) -> None:
            raise RuntimeError("crash")

        with pytest.raises(RuntimeError, match="crash"):
            await BrokerWatch(broker, STREAMS, [SPEC], marks, crash).__aenter__()
        losses = Losses()
        async with watching(broker, marks, losses):
            assert losses.told == [ALL]


async def test_an_error_of_the_handler_ends_the_watch_and_is_raised(
    own_server: OwnServer, marks: Marks
) -> None:
    async def fail(lost: set[str]) -> None:
        raise RuntimeError("cannot send again")

    async def watch_a_loss(broker: Broker, *, wait: bool) -> None:
        ended = asyncio.Event()
        async with BrokerWatch(broker, STREAMS, [SPEC], marks, fail) as watch:
            waiting = asyncio.create_task(watch.wait())
            waiting.add_done_callback(lambda _: ended.set())
            await own_server.restart(empty=True)
            async with asyncio.timeout(LONG):
                await ended.wait()
            if wait:
                await waiting
            assert isinstance(waiting.exception(), RuntimeError)

    for wait in (True, False):
        async with Broker(own_server.url) as broker:
            marks.marks.clear()
            with pytest.raises(RuntimeError, match="cannot send again"):
                await watch_a_loss(broker, wait=wait)


async def test_a_deleted_stream_is_told_and_made_again(own_server: OwnServer, marks: Marks) -> None:
    losses = Losses()
    async with (
        Broker(own_server.url) as broker,
        watching(broker, marks, losses),
        broker.inbox([SPEC]) as inbox,
    ):
        await publish(broker, "m1")
        assert await take(inbox, 1) == ["m1"]
        await broker.api.call(f"STREAM.DELETE.{EVENTS}")
        assert await losses.next() == {EVENTS}  # the inbox noticed
        await publish(broker, "m2")
        assert await take(inbox, 1) == ["m2"]


async def test_a_stream_that_somebody_made_anew_is_told_at_intervals(
    own_server: OwnServer, marks: Marks
) -> None:
    losses = Losses()
    async with Broker(own_server.url) as broker, watching(broker, marks, losses, interval=0.2):
        await publish(broker, "m1")
        await broker.api.call(f"STREAM.DELETE.{EVENTS}")
        await broker.ensure(STREAMS, [])
        assert await losses.next() == {EVENTS}


async def test_a_deleted_consumer_goes_on_where_it_was(own_server: OwnServer, marks: Marks) -> None:
    """It was made with `new`, but what came while it was gone must not be passed over."""
    losses = Losses()
    async with Broker(own_server.url) as broker:
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            await publish(broker, "m1", "m2")
            assert await take(inbox, 2) == ["m1", "m2"]
            async with asyncio.timeout(LONG):
                while await inbox.handled_until() is not None:  # noqa: ASYNC110 -- the broker does not tell
                    await asyncio.sleep(0.01)
        async with watching(broker, marks, losses):
            assert marks.marks[SPEC.place].sequence == 2
        await broker.api.call(f"CONSUMER.DELETE.{EVENTS}.{SPEC.durable}")
        await publish(broker, "m3")
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            assert await take(inbox, 1) == ["m3"]
    assert losses.told == []


async def test_a_consumer_whose_stream_was_made_anew_gets_all_of_it(
    own_server: OwnServer, marks: Marks
) -> None:
    """Another process noticed the loss, made the streams and stored their marks; the consumer is ours."""
    async with Broker(own_server.url) as broker:
        await acknowledge_ten(broker, marks)
        await own_server.restart(empty=True)
        other_losses = Losses()
        async with BrokerWatch(broker, STREAMS, [], marks, other_losses):
            await publish(broker, "start1", "start2")
        assert other_losses.told == [ALL]
        losses = Losses()
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            assert await take(inbox, 2) == ["start1", "start2"]
        assert losses.told == []


class Losing(Broker):
    """Its stream of events goes just after it was looked at, and is made anew by somebody else, or not."""

    def __init__(self, url: str, *, anew: bool) -> None:
        super().__init__(url)
        self.anew = anew
        self.armed = False

    async def inspect(self, stream: str, mark: Mark | None) -> Intact | Lost:
        verdict = await super().inspect(stream, mark)
        if self.armed and stream == EVENTS:
            self.armed = False
            await self.api.call(f"STREAM.DELETE.{EVENTS}")
            if self.anew:
                await self.ensure(STREAMS, [])
        return verdict


@pytest.mark.parametrize("anew", [True, False])
async def test_a_stream_that_is_lost_between_two_looks_loses_its_consumer_nothing(
    own_server: OwnServer, marks: Marks, *, anew: bool
) -> None:
    losses = Losses()
    async with Losing(own_server.url, anew=anew) as broker:
        await acknowledge_ten(broker, marks)
        async with watching(broker, marks, losses, interval=0.2), broker.inbox([SPEC]) as inbox:
            broker.armed = True
            assert await losses.next() == {EVENTS}
            await publish(broker, "start1", "start2")
            assert await take(inbox, 2) == ["start1", "start2"]


async def test_after_a_loss_a_consumer_also_gets_what_came_before_it_was_noticed(
    own_server: OwnServer, marks: Marks
) -> None:
    """A service made the streams again and published its events, before we looked."""
    async with Broker(own_server.url) as broker:
        await acknowledge_ten(broker, marks)
        await own_server.restart(empty=True)
        await broker.ensure(STREAMS, [])
        await publish(broker, "start1", "start2")
        losses = Losses()
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            assert losses.told == [ALL]
            assert await take(inbox, 2) == ["start1", "start2"]


class Once:
    """Does something before the first of many calls, to its end even where the call is given up."""

    def __init__(self, call: Callable[..., Awaitable[Any]], first: Callable[[], Awaitable[None]]) -> None:
        self._call = call
        self._first = first
        self._done: asyncio.Future[None] | None = None

    async def __call__(self, *arguments: Any) -> Any:
        if self._done is None:
            self._done = asyncio.ensure_future(self._first())
        await asyncio.shield(self._done)
        return await self._call(*arguments)


async def test_a_consumer_that_is_made_after_a_loss_in_the_middle_of_an_inspection_gets_all(
    own_server: OwnServer, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found out on the connection before says nothing of where a consumer begins on this one."""
    async with Broker(own_server.url) as broker, Broker(own_server.url) as other:
        await acknowledge_ten(broker, marks)

        async def lose() -> None:
            await own_server.restart(empty=True)
            await other.ensure(STREAMS, [])
            await publish(other, "start1", "start2")

        monkeypatch.setattr(broker, "ensure", Once(broker.ensure, lose))
        losses = Losses()
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            assert await losses.next() == ALL
            assert await take(inbox, 2) == ["start1", "start2"]


async def test_a_loss_between_streams_and_consumers_does_not_end_the_watch(
    own_server: OwnServer, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Broker(own_server.url) as broker:
        await acknowledge_ten(broker, marks)

        async def lose() -> None:
            await own_server.restart(empty=True)

        monkeypatch.setattr(broker.api, "consumer", Once(broker.api.consumer, lose))
        losses = Losses()
        async with watching(broker, marks, losses), broker.inbox([SPEC]) as inbox:
            assert await losses.next() == ALL
            await publish(broker, "start1")
            assert await take(inbox, 1) == ["start1"]


async def acknowledge_ten(broker: Broker, marks: Marks) -> None:
    """Ten messages were acknowledged, and this is remembered."""
    async with watching(broker, marks, Losses()), broker.inbox([SPEC]) as inbox:
        await publish(broker, *(f"m{each}" for each in range(10)))
        await take(inbox, 10)
        async with asyncio.timeout(LONG):
            while await inbox.handled_until() is not None:  # noqa: ASYNC110 -- the broker does not tell
                await asyncio.sleep(0.01)
    async with watching(broker, marks, Losses()):
        assert marks.marks[SPEC.place].sequence == 10


async def test_a_lost_tail_is_told_although_nobody_marked_it(own_server: OwnServer, marks: Marks) -> None:
    """The end of a stream can be lost in a crash of the machine; the publisher knows what was stored."""
    losses = Losses()
    copy = own_server.store.with_name("copy")
    async with Broker(own_server.url) as broker, watching(broker, marks, losses):
        await publish(broker, "m1", "m2")
        await own_server.stop()
        shutil.copytree(own_server.store, copy)
        await own_server.start()
        await broker.connected()
        async with asyncio.timeout(LONG):
            while not broker.seen.is_trusted:  # noqa: ASYNC110 -- the watch inspects after the reconnect
                await asyncio.sleep(0.01)
        await publish(broker, "m3", "m4")
        assert marks.marks[EVENTS].message_id == "m2"
        await own_server.stop(kill=True)
        shutil.rmtree(own_server.store)
        copy.rename(own_server.store)
        await own_server.start()
        assert await losses.next() == {EVENTS}


async def test_what_the_stream_holds_is_compared_with_the_mark(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        await publish(broker, "m1", "m2", "m3")
        present = await broker.inspect(EVENTS, None)
        assert isinstance(present, Intact)
        mark = present.mark
        assert mark is not None

        async def reason(mark: Mark) -> str:
            verdict = await broker.inspect(EVENTS, mark)
            return verdict.reason if isinstance(verdict, Lost) else ""

        assert await reason(mark) == ""
        assert await reason(replace(mark, sequence=2, message_id="m2")) == ""
        assert "created again" in await reason(replace(mark, created="2020-01-01T00:00:00Z"))
        assert "ends at 3" in await reason(replace(mark, sequence=4, message_id="m4"))
        assert "message 2 is m2, it was other" in await reason(replace(mark, sequence=2, message_id="other"))
        assert "missing" in str(await broker.inspect("NOWHERE", replace(mark, stream="NOWHERE")))
        await broker.api.call(f"STREAM.MSG.DELETE.{EVENTS}", {"seq": 2})
        assert "message 2 is gone" in await reason(replace(mark, sequence=2, message_id="m2"))
        await broker.api.call(f"STREAM.PURGE.{EVENTS}", {"seq": 3})
        assert await reason(replace(mark, sequence=1, message_id="m1")) == ""
        await broker.api.call(f"STREAM.PURGE.{EVENTS}")
        assert await reason(mark) == ""


async def test_a_stream_of_somebody_else_ends_the_start_and_is_left_alone(
    own_server: OwnServer, marks: Marks
) -> None:
    async with Broker(own_server.url) as broker:
        config = {"name": EVENTS, "subjects": ["t.evt.>"], "storage": "memory", "max_age": 60 * 10**9}
        before = await broker.api.call(f"STREAM.CREATE.{EVENTS}", config)
        with pytest.raises(ConfiguredOtherwise, match="not created by Amends") as refused:
            await watching(broker, marks, Losses()).__aenter__()
        assert refused.value.differences["storage"] == ("file", "memory")
        assert refused.value.differences["max_age"] == ("1 day, 0:00:00", "0:01:00")
        after = await broker.api.stream(EVENTS)
        assert after is not None
        assert after["config"] == before["config"]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"ack_policy": "none"}, "ack_policy"),
        ({"deliver_subject": "push"}, "deliver_subject"),
        ({"max_deliver": 3}, "max_deliver"),
        ({"filter_subject": "t.evt.a"}, "filter_subjects"),
        ({"deliver_policy": "last"}, "deliver_policy"),
        ({"headers_only": True}, "headers_only"),
    ],
)
async def test_a_consumer_of_somebody_else_is_left_alone(
    own_server: OwnServer, config: dict[str, object], field: str
) -> None:
    async with Broker(own_server.url) as broker:
        await broker.ensure(STREAMS, [])
        usual = {
            "durable_name": SPEC.durable,
            "ack_policy": "explicit",
            "max_ack_pending": SPEC.max_ack_pending,
            "filter_subject": "t.evt.>",
        }
        request = {"stream_name": EVENTS, "config": {**usual, **config}}
        await broker.api.call(f"CONSUMER.DURABLE.CREATE.{EVENTS}.{SPEC.durable}", request)
        narrower = replace(SPEC, filter_subjects=("t.evt.b", "t.evt.c"))
        with pytest.raises(ConfiguredOtherwise) as refused:
            await broker.ensure([], [narrower if field == "filter_subjects" else SPEC])
        assert field in refused.value.differences


async def test_subjects_that_another_stream_takes_are_told(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await broker.api.call("STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": ["t.evt.a"]})
        with pytest.raises(ConfiguredOtherwise, match=r"T_EVENTS.*another stream"):
            await broker.ensure(STREAMS, [])


async def test_a_store_that_cannot_be_made_for_a_moment_is_tried_again(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = own_server.store / "jetstream" / "$G"
    obstacle.write_text("not a folder")
    async with Broker(own_server.url) as broker, asyncio.timeout(LONG):
        await broker.ensure(STREAMS, [])
        assert await broker.api.stream(EVENTS) is not None
    assert "cannot be made for now" in caplog.text


async def test_a_store_that_cannot_be_made_for_too_long_is_told(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configure, "_STORE_FAILS_WITHIN", -1.0)
    (own_server.store / "jetstream" / "$G").write_text("not a folder")
    async with Broker(own_server.url) as broker:
        with pytest.raises(ApiError, match=r"STREAM\.CREATE.*10049"):
            await broker.ensure(STREAMS, [])
