"""What PostgreSQL and JetStream take on this machine by themselves, of the rows and messages that sagas write."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from typing import Final
from uuid import UUID, uuid4

import psycopg

from amends.cli.bench.figure import Figure
from benchmarks.jetstream import JetStream, Message
from benchmarks.sample import Sample

_BATCH: Final = 100
_TABLE: Final = (
    "CREATE TABLE alone (id uuid, version int8, topic text, state bytea, PRIMARY KEY (id, version))"
)
_UNNEST: Final = "INSERT INTO alone SELECT * FROM unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[])"
_ONE: Final = "INSERT INTO alone VALUES (%b, %b, %b, %b)"


async def postgres(url: str, sample: Sample, seconds: float) -> list[Figure]:
    """Events a second, a hundred in a transaction: by unnest of binary arrays, and by executemany."""
    found: list[Figure] = []
    async with await psycopg.AsyncConnection.connect(url) as connection:

        async def unnest(rows: list[tuple[UUID, int, str, bytes]]) -> None:
            await connection.execute(
                _UNNEST, [list(column) for column in zip(*rows, strict=True)], prepare=True
            )

        async def executemany(rows: list[tuple[UUID, int, str, bytes]]) -> None:
            await connection.cursor().executemany(_ONE, rows)

        for name, insert in (("unnest", unnest), ("executemany", executemany)):
            await connection.execute(_TABLE)
            rate = await _inserted(connection, sample, insert, seconds)
            await connection.execute("DROP TABLE alone")
            await connection.commit()
            found.append(Figure("PostgreSQL alone", f"events inserted, {name}", "rows/s", (rate,)))
            carried = rate * sample.orders / len(sample.events)
            found.append(
                Figure("PostgreSQL alone", f"sagas whose events these are, {name}", "sagas/s", (carried,))
            )
    return found


async def _inserted(
    connection: psycopg.AsyncConnection,
    sample: Sample,
    insert: Callable[[list[tuple[UUID, int, str, bytes]]], Awaitable[None]],
    seconds: float,
) -> float:
    events = cycle(sample.events)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        saga = uuid4()
        rows = [(saga, n, topic, state) for n, (_, _, topic, state) in enumerate(islice(events, _BATCH))]
        await insert(rows)
        await connection.commit()
        count += _BATCH
    return count / (time.perf_counter() - began)


async def jetstream(url: str, sample: Sample, count: int) -> list[Figure]:
    """Messages a second: published, and received with acknowledgement."""
    run = uuid4().hex[:8]
    messages = [
        Message("alone.a", f"NATS/1.0\r\n{block}Nats-Msg-Id: {run}-{n}\r\n\r\n".encode(), body)
        for n, (block, body) in enumerate(islice(cycle(sample.messages), count))
    ]
    async with JetStream.connect(url) as connection:
        await connection.stream("ALONE", "alone.>")
        began = time.perf_counter()
        await connection.publish(messages)
        published = count / (time.perf_counter() - began)
        began, received = time.perf_counter(), 0
        await connection.consume("ALONE")
        while received < count:
            got = await connection.receive(500)
            received += len(got)
            await connection.acknowledge(got)
        await connection.client.flush()
        pulled = count / (time.perf_counter() - began)
        await connection.remove("ALONE")
    carried = sample.orders / len(sample.messages) / (1 / published + 1 / pulled)
    return [
        Figure("JetStream alone", "published", "messages/s", (published,)),
        Figure("JetStream alone", "received and acknowledged", "messages/s", (pulled,)),
        Figure(
            "JetStream alone",
            "sagas whose messages these are, one way after the other",
            "sagas/s",
            (carried,),
        ),
    ]
