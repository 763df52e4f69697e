"""Bad input gets a dead letter with its reason, or a clear error; the worker goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from string import ascii_letters
from uuid import UUID, uuid4

import nats
import psycopg
import pytest
from psycopg import sql

from amends import Client, Command, Event, Participant, Saga, Settings, Tx, Worker, step
from amends.domain import wire
from amends.domain.correlation import LONGEST_KEY
from amends.domain.definition import InvalidMessage
from amends.domain.wire import HEADERS, MAX_MESSAGE
from amends.infrastructure.broker import ConsumerSpec, MessageTooLarge
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.store import PostgresStore


class Asked(Event, subject="desk.asked"):
    key: str
    size: int = 1
    note: str = ""


class Answer(Command, subject="desk.answer"):
    text: str


class Inquiry(Saga[Asked], name="inquiry", version=1, key="key"):
    @step
    def answer(self) -> Answer:
        return Answer(text="x" * self.start.size)


def desk() -> Participant[None]:
    participant: Participant[None] = Participant("desk")

    @participant.handles(Answer)
    async def answer(command: Answer, tx: Tx) -> None:
        """Nothing to do."""

    return participant


class Place:
    def __init__(
        self, settings: Settings, broker: Broker, store: PostgresStore, client: Client, url: str
    ) -> None:
        self.settings = settings
        self.store = store
        self.client = client
        self._url = url
        self._broker = broker
        self._publisher = broker.publisher()

    async def tell(self, subject: str, headers: Mapping[str, str], body: bytes) -> str:
        """Publish an event as somebody else would; returns its id."""
        identity = str(uuid4())
        named = {wire.CE_ID: identity, **headers}
        place = wire.event_subject(self.settings.namespace, subject)
        await self._publisher.publish([Outgoing(identity, place, named, body)])
        return identity

    async def run(self, key: str) -> tuple[UUID, Mapping[str, str]]:
        """A saga that has completed, and what a true reply to its command says of it."""
        run = await self.client.start(Inquiry, Asked(key=key))
        assert await run.result(timeout=timedelta(seconds=30)) == "completed"
        history = await self.store.history(run.id)
        command = next(r.event for r in history if r.event.type == "command.recorded")
        return run.id, {
            wire.SAGA_ID: str(run.id),
            wire.SAGA: "inquiry@1",
            wire.CAUSATION_ID: str(command.model_dump()["command_id"]),
            wire.OUTCOME: "rejected",
        }

    async def reason(self, message_id: str) -> str:
        """Why the message became a dead letter, as soon as it has."""
        query = sql.SQL("SELECT reason FROM {}.dead_letters WHERE message_id = %s").format(
            sql.Identifier(self.settings.namespace)
        )
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            async with asyncio.timeout(20):
                while (row := await (await connection.execute(query, [message_id])).fetchone()) is None:  # noqa: ASYNC110 - a database table does not signal
                    await asyncio.sleep(0.02)
        return str(row[0])

    async def letter(self, message_id: str) -> Incoming:
        """What is told of a dead letter."""
        namespace = self.settings.namespace
        spec = ConsumerSpec(wire.stream(namespace, "dead"), "reader", (f"{namespace}.dead.>",))
        await self._broker.ensure((), [spec])
        async with self._broker.inbox([spec]) as inbox, asyncio.timeout(20):
            while True:
                for message in await inbox.receive(100, None):
                    if message.headers[wire.CE_ID] == message_id:
                        return message

    async def goes_on(self) -> None:
        await self.run(f"later-{uuid4()}")


@asynccontextmanager
async def opened(servers: Servers, namespace: str) -> AsyncIterator[Place]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with (
        Worker([Inquiry], settings),
        desk().running(settings),
        Client(settings) as client,
        Broker(servers.nats_url, name="stranger", namespace=namespace) as broker,
        PostgresStore.open(servers.database_url, namespace) as store,
    ):
        yield Place(settings, broker, store, client, servers.database_url)


async def test_a_body_that_is_not_json(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        started = await place.tell("desk.asked", {}, b"{not json")
        assert "expected a Asked as JSON" in await place.reason(started)
        nameless = await place.tell("desk.asked", {}, b"{}")
        assert "key" in await place.reason(nameless)
        _, headers = await place.run("k-1")
        replied = await place.tell("desk.answer.rejected", headers, b"<xml/>")
        assert "JSON" in await place.reason(replied)
        await place.goes_on()


async def test_replies_that_are_none(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        _, true = await place.run("k-1")
        body = json.dumps({"code": "no"}).encode()
        stranger = await place.tell("desk.answer.rejected", {**true, wire.SAGA_ID: str(uuid4())}, body)
        assert "none has started" in await place.reason(stranger)
        forged = await place.tell("desk.answer.rejected", {**true, wire.STEP: "charge"}, body)
        assert "'answer'" in await place.reason(forged)
        unknown = await place.tell("desk.answer.rejected", {**true, wire.SAGA: "nonsense@1"}, body)
        assert "nonsense" in await place.reason(unknown)
        unsent = await place.tell("desk.answer.rejected", {**true, wire.CAUSATION_ID: str(uuid4())}, body)
        assert "did not send" in await place.reason(unsent)
        blank = await place.tell("desk.answer.rejected", {wire.SAGA_ID: true[wire.SAGA_ID]}, body)
        assert wire.OUTCOME in await place.reason(blank)
        await place.goes_on()


@pytest.mark.semantics("same-start")
async def test_another_start_for_a_key_that_is_taken(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        identity, _ = await place.run("k-1")
        second = await place.tell("desk.asked", {}, b'{"key":"k-1","size":2}')
        assert "expected a new key" in await place.reason(second)
        history = await place.store.history(identity)
        assert [r.event.type for r in history][-1] == "saga.start-refused"


async def test_a_payload_that_is_too_large(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        with pytest.raises(MessageTooLarge, match="1048576"):
            await place.client.start(Inquiry, Asked(key="large", note="x" * 1_100_000))
        large = await place.client.start(Inquiry, Asked(key="large", size=1_100_000))
        async with asyncio.timeout(20):
            while not (errors := await place.store.quarantined()):  # noqa: ASYNC110 - nor does this one
                await asyncio.sleep(0.02)
        assert [each.saga_id for each in errors] == [large.id]
        assert "of at most 1028096 bytes" in errors[0].error
        await place.goes_on()


async def test_a_command_as_large_as_can_be_arrives(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        size = MAX_MESSAGE - HEADERS - len('{"text":""}')
        run = await place.client.start(Inquiry, Asked(key="ж" * LONGEST_KEY, size=size))
        assert await run.result(timeout=timedelta(seconds=30)) == "completed"


async def test_what_is_too_long_for_an_index(servers: Servers, namespace: str) -> None:
    """PostgreSQL cannot index values of more than some 2,700 bytes, unless they can be compressed."""
    long = "".join(Random(1).choices(ascii_letters, k=3000))
    async with opened(servers, namespace) as place:
        with pytest.raises(InvalidMessage, match="in at most 500 characters, got 3000"):
            await place.client.start(Inquiry, Asked(key=long))
        keyed = await place.tell("desk.asked", {}, json.dumps({"key": long}).encode())
        assert "in at most 500 characters" in await place.reason(keyed)
        await place.tell("desk.asked", {wire.CE_ID: long}, b'{"key": "k-2"}')
        await place.tell("desk.asked", {wire.CE_ID: long, wire.TRACEPARENT: long}, b"{not json")
        await place.goes_on()


async def test_a_message_as_large_as_can_be_is_told_with_the_reason(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place:
        identity = await place.tell("desk.asked", {}, b"{" + b"x" * (MAX_MESSAGE - 300))
        assert "expected a Asked as JSON" in await place.reason(identity)
        letter = await place.letter(identity)
        assert len(letter.body) < MAX_MESSAGE - 300
        assert letter.headers[wire.DEAD_CUT] == str(MAX_MESSAGE - 299)
        await place.goes_on()


async def test_a_dead_letter_that_the_broker_lost_is_told_again(servers: Servers, namespace: str) -> None:
    async with opened(servers, namespace) as place, await nats.connect(servers.nats_url) as connection:
        identity = await place.tell("desk.asked", {}, b"{not json")
        letter = await place.letter(identity)
        heard = await connection.subscribe(f"{namespace}.dead.>")
        await connection.flush()
        lost = f"$JS.API.STREAM.DELETE.{wire.stream(namespace, 'dead')}"
        await connection.request(lost, timeout=20)
        again = await heard.next_msg(timeout=20)
        assert again.headers is not None
        assert (again.headers[wire.CE_ID], again.data) == (identity, letter.body)
        assert again.headers[wire.DEAD_REASON] == letter.headers[wire.DEAD_REASON]
