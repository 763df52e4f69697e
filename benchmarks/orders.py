"""Sagas per second, and how long one takes, beside what PostgreSQL and JetStream take on their own.

`python benchmarks/orders.py [--orders N] [--seconds S]`: everything on this machine, servers of its own, loopback only.
The worker and the services run in processes of their own. (A): an echo service that answers without a database.
(B): the order example's four services, each with its database. One order in ten is refused at shipping and undone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
from nats.aio.msg import Msg

from amends import Settings
from amends.client import Client
from amends.domain import wire
from amends.examples.order.books import SERVICES, prepare
from amends.examples.order.messages import OrderPlaced
from amends.examples.order.saga import Order
from amends.infrastructure.broker import ConsumerSpec, streams
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.store import PostgresStore

FINAL = {"completed", "compensated"}
HERE = Path(__file__).parent


def order(run: str, number: int) -> OrderPlaced:
    return OrderPlaced(
        # The example's mail server is busy at first for ids that end in 7, and the wait is not what is measured.
        order_id=f"{run}-{number:06}-x",
        customer=f"good-{number}",
        sku="lamp",
        quantity=1,
        total=Decimal("9.90"),
        country="Norway" if number % 10 else "Atlantis",
    )


@asynccontextmanager
async def program(name: str, environment: Mapping[str, str]) -> AsyncIterator[None]:
    """A program of this folder, running beside the body."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "programs.py"),
        name,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.wait()


async def saturated(settings: Settings, store: PostgresStore, run: str, count: int) -> float:
    """Sagas per second from the first start published to the last saga over."""
    before = await over(store)
    async with Client(settings) as client, asyncio.timeout(300):
        began = time.perf_counter()
        await client.start_many(Order, (order(run, number) for number in range(count)))
        while await over(store) < before + count:  # noqa: ASYNC110 - the store does not signal
            await asyncio.sleep(0.05)
        return count / (time.perf_counter() - began)


async def over(store: PostgresStore) -> int:
    return sum(number for (_, status), number in (await store.counts()).items() if status in FINAL)


async def light(settings: Settings, run: str, rate: int, seconds: int) -> list[float]:
    """Milliseconds from a start published to the message that the saga is over, at so many starts a second."""
    began: dict[str, float] = {}
    took: list[float] = []
    done = asyncio.Event()
    total = rate * seconds

    async def told(message: Msg) -> None:
        key = (message.headers or {}).get(wire.KEY, "")
        if key in began and message.subject.rsplit(".", 1)[-1] in FINAL:
            took.append((time.perf_counter() - began.pop(key)) * 1000)
            if len(took) == total:
                done.set()

    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(Servers(settings))
        client = await stack.enter_async_context(Client(settings))
        broker = Broker(servers.nats_url, name="benchmark", namespace=settings.namespace)
        async with broker:
            await broker.client.subscribe(wire.saga_subject(settings.namespace, "order", "*"), cb=told)
            first = time.perf_counter()
            for number in range(total):
                await asyncio.sleep(max(0.0, first + number / rate - time.perf_counter()))
                placed = order(run, number)
                began[placed.order_id] = time.perf_counter()
                await client.start(Order, placed)
            async with asyncio.timeout(60):
                await done.wait()
    return took


async def postgres_alone(url: str, count: int) -> float:
    """Rows of 300 bytes a second, 100 in a transaction, by unnest of binary arrays."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS alone (id bigserial PRIMARY KEY, body bytea)")
        body = [b"x" * 300] * 100
        began = time.perf_counter()
        for _ in range(count // 100):
            await connection.execute(
                "INSERT INTO alone (body) SELECT unnest(%b::bytea[])", [body], prepare=True
            )
        took = time.perf_counter() - began
        await connection.execute("DROP TABLE alone")
    return count / took


async def jetstream_alone(url: str, count: int) -> tuple[float, float]:
    """Messages of 300 bytes a second: published, and received with acknowledgement."""
    async with Broker(url, name="alone", namespace="alone") as broker:
        consumer = ConsumerSpec(wire.stream("alone", "events"), "alone", ("alone.evt.>",))
        await broker.ensure(streams("alone", timedelta(hours=1)), [consumer])
        publisher = broker.publisher()
        messages = [
            Outgoing(f"m-{time.time_ns()}-{n}", "alone.evt.a.b", {}, b"x" * 300) for n in range(count)
        ]
        began = time.perf_counter()
        await publisher.publish(messages)
        published = count / (time.perf_counter() - began)
        async with broker.inbox([consumer]) as inbox:
            began, received = time.perf_counter(), 0
            while received < count:
                got = await inbox.receive(500, 30)
                received += len(got)
                await inbox.acknowledge(got)
            return published, count / (time.perf_counter() - began)


async def measure(services: str, count: int, seconds: int, folder: Path) -> tuple[float, list[float]]:
    settings = Settings(data_dir=folder, namespace=f"bench_{services}")
    environment = {
        "AMENDS_DATA_DIR": str(folder),
        "AMENDS_NAMESPACE": settings.namespace,
        "AMENDS_LOG_LEVEL": "error",
    }
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(Servers(settings))
        if services == "real":
            urls = {name: await servers.participant_database(name) for name in SERVICES}
            await prepare(urls, {"lamp": 10_000_000})
        await stack.enter_async_context(program("worker", environment))
        await stack.enter_async_context(program(services, environment))
        store = await stack.enter_async_context(PostgresStore.open(servers.database_url, settings.namespace))
        await saturated(settings, store, "warm", min(200, count))
        rate = await saturated(settings, store, "full", count)
        return rate, await light(settings, "light", 20, seconds)


async def main(count: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="amends-bench-") as name:
        folder = Path(name) / "data"
        async with Servers(Settings(data_dir=folder)) as servers:
            rows = await postgres_alone(servers.database_url, 50_000)
            published, received = await jetstream_alone(servers.nats_url, 20_000)
            print(f"load average at the start: {os.getloadavg()[0]:.1f}")
            print(f"PostgreSQL alone   {rows:8,.0f} rows/s inserted, 100 in a transaction")
            print(f"JetStream alone    {published:8,.0f} messages/s published, {received:,.0f} received")
            for services, title in (("echo", "A: echo service"), ("real", "B: real services")):
                rate, took = await measure(services, count, seconds, folder)
                cuts = statistics.quantiles(took, n=100)
                print(
                    f"{title:18} {rate:8,.0f} sagas/s saturated (1 : {rows / rate:.0f} rows, "
                    f"1 : {published / rate:.0f} messages); at 20/s p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(main(min(given.orders, 100_000), min(given.seconds, 120)))
