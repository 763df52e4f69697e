"""The outbox and its relay: what is committed is published, and what is lost is published again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import psycopg
import pytest

from amends.infrastructure.broker import Mark, NotStored, PublishFailed
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.marks import PostgresMarks
from amends.infrastructure.postgres.outbox import Outbox, migrate_outbox
from amends.infrastructure.postgres.relay import Relay
from tests.conftest import DatabaseFrom

SCHEMA = "app"
WITHIN = 20.0
SELDOM = timedelta(hours=1)


def message(name: str) -> Outgoing:
    return Outgoing(name, f"amends.evt.orders.{name}", {"ce-id": name, "Saga": "ø"}, b"\x00{}", name)


class Recording:
    """A publisher that keeps what it is given; `refuse` names messages that it does not store."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.refuse: set[str] = set()
        self.news = asyncio.Event()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        refused = [each for each in messages if each.message_id in self.refuse]
        self.sent += [each for each in messages if each not in refused]
        self.news.set()
        if refused:
            raise PublishFailed([NotStored(each, "no room") for each in refused])

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(WITHIN):
            while not set(names) <= {each.message_id for each in self.sent}:
                self.news.clear()
                await self.news.wait()


class Place:
    def __init__(self, url: str, connection: psycopg.AsyncConnection, link: Link) -> None:
        self.url = url
        self.connection = connection
        self.link = link
        self.outbox = Outbox(SCHEMA)
        self.publisher = Recording()

    def relay(self, **options: timedelta) -> Relay:
        return Relay(self.link, self.outbox, self.publisher, **{"interval": SELDOM, **options})

    async def count(self, condition: str) -> int:
        query = f"SELECT count(*) FROM app.outbox WHERE {condition}"
        row = await (await self.connection.execute(query.encode())).fetchone()
        assert row is not None
        return int(row[0])

    async def record(self, *names: str) -> None:
        async with self.connection.transaction():
            await self.outbox.enqueue(self.connection, [message(name) for name in names])


@pytest.fixture
async def place(database_from: DatabaseFrom) -> AsyncIterator[Place]:
    url = await database_from("outbox", lambda url: migrate_outbox(url, SCHEMA))
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(url, autocommit=True)
        )
        yield Place(url, connection, await stack.enter_async_context(Link(url, name="test", durable=False)))


async def test_a_message_comes_out_as_it_went_in(place: Place) -> None:
    await place.record("a")
    [found] = await place.outbox.unpublished(place.connection, 10)
    assert found.message == message("a")


async def test_what_was_not_committed_is_not_published(place: Place) -> None:
    async with place.connection.transaction(force_rollback=True):
        await place.outbox.enqueue(place.connection, [message("a")])
    await place.relay().sweep()
    assert place.publisher.sent == []


async def test_a_sweep_publishes_in_order_and_once(place: Place) -> None:
    await place.record(*(f"m{number}" for number in range(1200)))
    relay = place.relay()
    await relay.sweep()
    await relay.sweep()
    assert [each.message_id for each in place.publisher.sent] == [f"m{number}" for number in range(1200)]
    assert await place.count("published_at IS NULL") == 0


async def test_a_commit_wakes_the_relay(place: Place) -> None:
    relay = place.relay()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(relay.run()), group.create_task(relay.listen(place.url))]
        await place.record("a")
        await place.publisher.until("a")
        await place.record("b")
        await place.publisher.until("b")
        for task in tasks:
            task.cancel()


async def test_a_wake_up_is_not_lost_when_the_listening_connection_breaks(place: Place) -> None:
    relay = place.relay()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(relay.run()), group.create_task(relay.listen(place.url))]
        await place.record("a")
        await place.publisher.until("a")
        await place.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await place.record("b")
        await place.publisher.until("b")
        for task in tasks:
            task.cancel()


async def test_fresh_messages_are_left_to_who_recorded_them(place: Place) -> None:
    await place.record("a")
    await place.relay().sweep(grace=timedelta(minutes=1))
    assert place.publisher.sent == []


async def test_what_the_broker_refuses_stays_and_holds_nothing_up(place: Place) -> None:
    await place.record("a", "b", "c")
    place.publisher.refuse = {"b"}
    await place.relay().sweep()
    assert await place.count("published_at IS NULL") == 1
    place.publisher.refuse = set()
    await place.relay().sweep()
    assert await place.count("published_at IS NULL") == 0


async def test_after_a_loss_everything_kept_is_published_with_a_fresh_deduplication_id(place: Place) -> None:
    await place.record("a", "b")
    relay = place.relay()
    await relay.sweep()
    await relay.lost()
    await relay.sweep()
    assert [each.message_id for each in place.publisher.sent] == ["a", "b", "a", "b"]
    assert len({each.deduplication_id for each in place.publisher.sent}) == 4


async def test_a_message_on_its_way_when_the_broker_lost_it_is_published_again(place: Place) -> None:
    await place.record("a")
    found = await place.outbox.unpublished(place.connection, 10)
    await place.outbox.mark_lost(place.connection)
    await place.outbox.mark_published(place.connection, found)
    assert await place.count("published_at IS NULL") == 1


async def test_published_messages_are_deleted_after_their_time(place: Place) -> None:
    await place.record("a", "b")
    place.publisher.refuse = {"b"}
    await place.relay().sweep()
    assert await place.outbox.prune(place.connection, timedelta(minutes=1)) == 0
    assert await place.outbox.prune(place.connection, timedelta(0)) == 1
    assert await place.count("true") == 1


async def test_two_relays_take_turns(place: Place) -> None:
    await place.record("a")
    async with Link(place.url, name="other") as other:
        async with place.connection.transaction():
            await place.connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('amends outbox app', 0))"
            )
            await Relay(other, place.outbox, place.publisher).sweep()
            assert place.publisher.sent == []
        await Relay(other, place.outbox, place.publisher).sweep()
    assert [each.message_id for each in place.publisher.sent] == ["a"]


async def test_marks_come_out_as_they_went_in(place: Place) -> None:
    marks = PostgresMarks(place.link, SCHEMA)
    assert await marks.load() == {}
    first, second = Mark("A", "2026", 7, "x"), Mark("B", "2026", 2**60)
    await marks.store({"A": first, "B": second})
    await marks.store({"A": Mark("A", "2027", 1, "")})
    assert await marks.load() == {"A": Mark("A", "2027", 1, ""), "B": second}


async def test_a_link_comes_back_and_runs_the_work_again(place: Place) -> None:
    pids: list[int] = []

    async def work(connection: psycopg.AsyncConnection) -> int:
        pids.append(connection.info.backend_pid)
        if len(pids) == 1:
            await place.connection.execute("SELECT pg_terminate_backend(%s)", pids)
        await connection.execute("SELECT 1")
        return pids[-1]

    assert await place.link.run(work) == pids[1] != pids[0]


async def test_a_link_passes_on_what_is_not_transient(place: Place) -> None:
    async def work(connection: psycopg.AsyncConnection) -> None:
        await connection.execute("SELECT 1/0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await place.link.run(work)
