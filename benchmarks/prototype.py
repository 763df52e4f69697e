"""The least that a batched process manager can do: the primitives of this design without what makes sagas of them.

For each batch of 100 messages one transaction with the inbox's rows, the states that are loaded, events and outbox;
then the commands are published and the messages acknowledged. A saga is a dict, a decision a lookup: no retries, no
timers, no identity, no validation, no history that could be read. Same steps and same sizes as the order saga.

Its commands are answered by an echo, as A's are, or by services as B's are (benchmarks/prototype_services.py).

`python -m benchmarks.prototype worker|echo POSTGRES NATS`: programs that `measure` starts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from amends.cli.bench.figure import Figure
from amends.cli.bench.load import on_time
from amends.cli.bench.measuring import latencies
from amends.cli.bench.programs import running
from amends.cli.running import execute, on_signal
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.settings import Settings
from benchmarks.jetstream import JetStream, Message, Received, headers

BATCH: Final = 100
WARM: Final = 500
_STEPS: Final = ("reserve", "charge", "ship", "notify")
_BACK: Final = {"ship": "refund", "refund": "release"}
_PADDING: Final = "x" * 200
_OVER: Final = "prototype.over"
_FEW: Final = 20
BY_INDEX: Final = "-c enable_seqscan=off"
"""A statement that was planned while its table was small would go on reading all of it."""
_TABLES: Final = """
    CREATE TABLE prototype_inbox (id text PRIMARY KEY);
    CREATE TABLE prototype_sagas (id text PRIMARY KEY, state bytea NOT NULL, over boolean NOT NULL)
        WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
    CREATE TABLE prototype_events (id text, version int8, state bytea, PRIMARY KEY (id, version));
"""
OUTBOX: Final = """
    CREATE TABLE prototype_outbox (id text PRIMARY KEY, subject text, body bytea)
        WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
"""
_DROP: Final = "DROP TABLE IF EXISTS prototype_inbox, prototype_sagas, prototype_events, prototype_outbox"
_RECEIVE: Final = "INSERT INTO prototype_inbox SELECT unnest(%b::text[]) ON CONFLICT DO NOTHING RETURNING id"
_LOAD: Final = "SELECT id, state FROM prototype_sagas WHERE id = ANY(%b::text[])"
_SAVE: Final = (
    "INSERT INTO prototype_sagas SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bool[]) "
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, over = excluded.over"
)
_APPEND: Final = "INSERT INTO prototype_events SELECT * FROM unnest(%b::text[], %b::int8[], %b::bytea[])"
_ENQUEUE: Final = "INSERT INTO prototype_outbox SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[])"
_PUBLISHED: Final = "DELETE FROM prototype_outbox WHERE id = ANY(%b::text[])"

Saga = dict[str, Any]


def decide(saga: Saga, message: dict[str, Any]) -> str | None:
    """The next command; None: the saga is over."""
    step = message.get("step")
    if step is None:
        return _STEPS[0]
    if message["refused"] or saga["back"]:
        saga["back"] = True
        return _BACK.get(step)
    following = _STEPS.index(step) + 1
    return _STEPS[following] if following < len(_STEPS) else None


class Batch:
    """What one transaction writes."""

    def __init__(self, sagas: dict[str, Saga]) -> None:
        self.sagas = sagas
        self.touched: set[str] = set()
        self.events: list[tuple[str, int, bytes]] = []
        self.commands: list[tuple[str, str, bytes]] = []
        self.over: list[str] = []

    def handle(self, message: dict[str, Any]) -> None:
        id_ = message["saga"]
        saga = self.sagas.setdefault(
            id_, {"version": 0, "back": False, "over": False, "number": message["number"]}
        )
        self.touched.add(id_)
        self._append(id_, saga, {"heard": message})
        step = decide(saga, message)
        if step is None:
            saga["over"] = True
            self.over.append(id_)
            self._append(id_, saga, {"over": True})
            return
        command_id = f"{id_}-{step}"
        command = {"id": command_id, "saga": id_, "number": saga["number"], "step": step, "padding": _PADDING}
        self._append(id_, saga, {"sent": command})
        self.commands.append((command_id, f"prototype.cmd.{step}", json.dumps(command).encode()))

    def _append(self, id_: str, saga: Saga, event: dict[str, Any]) -> None:
        saga["version"] += 1
        self.events.append((id_, saga["version"], json.dumps(event).encode()))


class Batches:
    """What takes batches, and has an outbox on the connection that it works on."""

    def __init__(self, connection: psycopg.AsyncConnection, jetstream: JetStream) -> None:
        self._connection = connection
        self._jetstream = jetstream
        self._published: list[str] = []

    async def _enqueue(self, rows: Sequence[tuple[str, str, bytes]]) -> None:
        """Record messages, each by its id, and forget those that were published since the last time."""
        if rows:
            await self._connection.execute(_ENQUEUE, columns(rows), prepare=True)
        if self._published:
            await self._connection.execute(_PUBLISHED, [self._published], prepare=True)


class Worker(Batches):
    async def step(self) -> None:
        received = await self._jetstream.receive(BATCH)
        async with self._connection.transaction():
            batch = await self._decided(received)
            await self._save(batch)
        await self._jetstream.publish(
            Message(subject, headers(id_), body) for id_, subject, body in batch.commands
        )
        await self._jetstream.tell(f"{_OVER}.{id_}" for id_ in batch.over)
        self._published = [id_ for id_, _, _ in batch.commands]
        await self._jetstream.acknowledge(received)

    async def _decided(self, received: Sequence[Received]) -> Batch:
        messages = {message["id"]: message for message in (json.loads(each.body) for each in received)}
        new = await (await self._connection.execute(_RECEIVE, [list(messages)], prepare=True)).fetchall()
        ids = [message["saga"] for message in messages.values()]
        found = await (await self._connection.execute(_LOAD, [ids], prepare=True)).fetchall()
        batch = Batch({id_: json.loads(state) for id_, state in found})
        for (id_,) in new:
            batch.handle(messages[id_])
        return batch

    async def _save(self, batch: Batch) -> None:
        states = [
            (id_, json.dumps(saga).encode(), saga["over"])
            for id_, saga in ((id_, batch.sagas[id_]) for id_ in batch.touched)
        ]
        async with self._connection.pipeline():
            for statement, rows in ((_SAVE, states), (_APPEND, batch.events)):
                if rows:
                    await self._connection.execute(statement, columns(rows), prepare=True)
            await self._enqueue(batch.commands)


def columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def worker(postgres: str, nats: str) -> None:
    async with (
        await psycopg.AsyncConnection.connect(postgres, autocommit=True, options=BY_INDEX) as connection,
        JetStream.connect(nats) as jetstream,
    ):
        await jetstream.consume("PROTOTYPE_EVENTS")
        await until_stopped(Worker(connection, jetstream).step)


async def echo(_: str, nats: str) -> None:
    async with JetStream.connect(nats) as jetstream:
        await jetstream.consume("PROTOTYPE_COMMANDS")

        async def step() -> None:
            received = await jetstream.receive(500)
            await jetstream.publish(map(answer, received))
            await jetstream.acknowledge(received)

        await until_stopped(step)


def answer(message: Received) -> Message:
    command = json.loads(message.body)
    id_ = f"{command['id']}-reply"
    body = json.dumps({**command, "id": id_, "refused": refuses(command)}).encode()
    return Message("prototype.evt.reply", headers(id_), body)


def refuses(command: dict[str, Any]) -> bool:
    """One order in ten cannot be shipped."""
    return bool(command["step"] == "ship" and command["number"] % 10 == 0)


async def until_stopped(step: Callable[[], Awaitable[None]]) -> None:
    """Step after step, until SIGTERM."""
    stopped = asyncio.Event()
    on_signal(stopped.set)
    stopping = asyncio.create_task(stopped.wait())

    async def run() -> None:
        while True:
            await step()

    work = asyncio.create_task(run())
    print("ready", flush=True)
    await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
    work.cancel()
    await asyncio.wait((work,))


async def measure(
    postgres: str,
    nats: str,
    settings: Settings,
    count: int,
    subject: str = "prototype",
    services: Sequence[Sequence[str]] = (),
    light: float = 0,
) -> list[Figure]:
    """Sagas a second, of so many that are started together after some to get warm.

    `services` are the programs that answer, an echo where there are none. First, for `light` seconds, how long a saga
    takes while few are started.
    """
    async with (
        await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection,
        JetStream.connect(nats) as jetstream,
    ):
        await connection.execute(_DROP)
        await connection.execute(_TABLES)
        await connection.execute(OUTBOX)
        await jetstream.stream("PROTOTYPE_EVENTS", "prototype.evt.>")
        await jetstream.stream("PROTOTYPE_COMMANDS", "prototype.cmd.>")
        arguments = ("-m", "benchmarks.prototype")
        answering = services or [(*arguments, "echo", postgres, nats)]
        async with running(settings, *answering, (*arguments, "worker", postgres, nats)):
            await _run(connection, jetstream, range(WARM))
            few = range(WARM, WARM + round(_FEW * light))
            took = await _light(jetstream, few)
            began = time.perf_counter()
            await _run(connection, jetstream, range(few.stop, few.stop + count))
            rate = count / (time.perf_counter() - began)
        await connection.execute(_DROP)
        await jetstream.remove("PROTOTYPE_EVENTS")
        await jetstream.remove("PROTOTYPE_COMMANDS")
    return [
        Figure(subject, "saturated", "sagas/s", (rate,)),
        *(latencies(subject, _FEW, took) if took else ()),
    ]


async def _light(jetstream: JetStream, numbers: range) -> list[float]:
    """Milliseconds of each, from when it was due to be started to when it is known to be over."""
    due: dict[str, datetime] = {}
    took: list[float] = []
    told = asyncio.Event()
    clock = SystemClock()

    def hear(subject: str, _reply: str, _headers: bytes, _body: bytes) -> None:
        took.append((clock.now() - due.pop(subject.rpartition(".")[2])).total_seconds() * 1000)
        told.set()

    subscription = await jetstream.client.take(f"{_OVER}.*", hear)
    async for place, at in on_time(clock, _FEW, len(numbers)):
        due[f"s-{numbers[place]}"] = at
        await jetstream.publish([start(numbers[place])])
    async with asyncio.timeout(120):
        while due:
            told.clear()
            await told.wait()
    await subscription.unsubscribe()
    return took


async def _run(connection: psycopg.AsyncConnection, jetstream: JetStream, numbers: range) -> None:
    await jetstream.publish(map(start, numbers))
    async with asyncio.timeout(120):
        while await _over(connection) < numbers.stop:  # noqa: ASYNC110 - the prototype tells nobody
            await asyncio.sleep(0.05)


def start(number: int) -> Message:
    saga = f"s-{number}"
    body = json.dumps({"id": f"{saga}-start", "saga": saga, "number": number, "padding": _PADDING}).encode()
    return Message("prototype.evt.start", headers(f"{saga}-start"), body)


async def _over(connection: psycopg.AsyncConnection) -> int:
    [(count,)] = await (
        await connection.execute("SELECT count(*) FROM prototype_sagas WHERE over")
    ).fetchall()
    return int(count)


if __name__ == "__main__":
    execute({"worker": worker, "echo": echo}[sys.argv[1]](sys.argv[2], sys.argv[3]))
