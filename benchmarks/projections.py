"""How fast the views are made anew, and how far they are behind while sagas run.

`python benchmarks/projections.py [--events N] [--seconds S]`: everything on this machine, servers of its own.
First a store of N events of finished sagas, written by COPY, out of which all views are built anew by one process: its
rate and its peak memory. Then a worker runs 200 sagas a second for S seconds, with a service that echoes and a runner
of the views, each in a process of its own: how long after it was written each event is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from rich.console import Console

from amends.cli.bench.figure import Figure
from amends.cli.bench.load import Load
from amends.cli.bench.programs import ECHO, WORKER, running
from amends.cli.bench.showing import figures_table
from amends.cli.running import execute
from amends.domain import events as e
from amends.domain.history import record
from amends.infrastructure.postgres.store import migrate_store
from amends.projections.catalogue import PROJECTIONS
from amends.projections.installing import prepare
from amends.projections.runner import LARGE_BATCH, Runner
from benchmarks.servers import temporary

NAMESPACE = "bench"
AT = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ("reserve_inventory", "charge_payment", "create_shipment", "send_notification")
CONCURRENT = 200
RATE = 200
MEGABYTE = 1024 if sys.platform == "linux" else 1024 * 1024


def history(number: int) -> Iterator[e.SagaEvent]:
    """An order with four steps: ten events."""
    began = AT + timedelta(milliseconds=5 * number)
    facts: dict[str, Any] = {
        "by": "worker-1",
        "trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    order = {"order_id": f"o-{number}", "customer": "good", "sku": "lamp", "quantity": 1, "total": "9.90"}
    yield e.SagaStarted(
        at=began, cause=f"m-{number}", saga="order", definition=1, namespace=NAMESPACE, key=f"o-{number}",
        subject="orders.placed", start=order, deadline=began + timedelta(days=1), **facts,
    )  # fmt: skip
    for place, step in enumerate(STEPS):
        at = began + timedelta(milliseconds=40 * place)
        command = UUID(int=number * 10 + place)
        yield e.CommandRecorded(
            at=at, cause=f"m-{number}", step=step, command_id=command, key=command, subject=f"service.{step}",
            reply_subject=f"service.{step}.done", payload=order, expires=at + timedelta(seconds=30), **facts,
        )  # fmt: skip
        answered = at + timedelta(milliseconds=20 + number % 13)
        yield e.CommandSucceeded(
            at=answered, cause=str(command), step=step, reply={"id": f"x-{number}"}, **facts
        )
    yield e.SagaCompleted(at=began + timedelta(milliseconds=200), cause=f"m-{number}", **facts)


def rows(number: int) -> list[tuple[UUID, int, str, bytes]]:
    """The stored events of one saga."""
    saga_id, previous, found = uuid5(NAMESPACE_URL, str(number)), "", []
    for version, event in enumerate(history(number), start=1):
        recorded = record(saga_id, version, previous, event)
        previous = recorded.digest
        found.append((saga_id, version, recorded.topic, recorded.stored))
    return found


async def fill(url: str, count: int) -> int:
    """Write so many events, those of a few hundred sagas at a time taking turns."""
    written = 0
    copy = "COPY bench.events (originator_id, originator_version, topic, state) FROM STDIN (FORMAT binary)"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        async with connection.cursor().copy(copy) as copying:
            copying.set_types(["uuid", "int8", "text", "bytea"])
            while written < count:
                first = written // 10
                for events in zip(*(rows(first + n) for n in range(CONCURRENT)), strict=True):
                    for event in events:
                        await copying.write_row(event)
                    written += len(events)
        await connection.commit()
        await connection.set_autocommit(True)
        await connection.execute("VACUUM ANALYZE bench.events")
    return written


async def build(url: str, name: str) -> None:
    """What runs in the process that is measured."""
    await Runner(url, name, batch_size=LARGE_BATCH).rebuild([each.name for each in PROJECTIONS])
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_maxrss / MEGABYTE, used.ru_utime + used.ru_stime)


async def rebuilt(url: str) -> tuple[float, float, float]:
    """Seconds, peak memory in megabytes, and seconds of its own CPU, of a process that builds all views anew."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--build", url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    peak, cpu = map(float, said.split())
    return time.perf_counter() - began, peak, cpu


async def lag(seconds: int) -> list[float]:
    """How long after it was written each event was shown, while a worker runs 200 sagas a second."""
    async with (
        temporary(namespace="live") as (settings, servers),
        running(settings, WORKER, ECHO, ("-m", "amends", "projections", "run")),
        Load.open(settings) as load,
        await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection,
    ):
        await load.light(RATE, 2)
        found = await connection.execute("SELECT max(notification_id) FROM live.events")
        [(first,)] = await found.fetchall()
        shown: list[tuple[datetime, int]] = []
        watching = asyncio.create_task(watch(servers.database_url, shown))
        await load.light(RATE, seconds)
        found = await connection.execute(
            "SELECT recorded_at, notification_id FROM live.events WHERE notification_id > %s ORDER BY 2",
            [first],
        )
        written = await found.fetchall()
        async with asyncio.timeout(30):
            while not shown or shown[-1][1] < written[-1][1]:  # noqa: ASYNC110 - `watch` is told, which has more to do
                await asyncio.sleep(0.01)
        watching.cancel()
    return list(waited(written, shown))


async def watch(url: str, shown: list[tuple[datetime, int]]) -> None:
    """Note when the views have come how far, by the database's clock."""
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as listener,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as reader,
    ):
        await listener.execute('LISTEN "live.views"')
        async for _ in listener.notifies():
            found = await reader.execute(
                "SELECT clock_timestamp(), min(position) FROM live.projections WHERE state = 'live'"
            )
            shown += await found.fetchall()


def waited(written: list[tuple[datetime, int]], shown: list[tuple[datetime, int]]) -> Iterator[float]:
    """Seconds from when each event was written until the views had come so far."""
    seen = iter(shown)
    when, position = next(seen)
    for at, place in written:
        while position < place:
            when, position = next(seen)
        yield (when - at).total_seconds()


async def measure(events: int) -> list[Figure]:
    """Build all views anew out of so many events."""
    async with temporary() as (_, servers):
        url = servers.database_url
        await migrate_store(url, NAMESPACE)
        await prepare(url, NAMESPACE)
        written = await fill(url, events)
        took, peak, cpu = await rebuilt(url)
    return [
        Figure("views", "all built anew", "events/s", (written / took,)),
        Figure("views", "peak memory meanwhile", "MB", (peak,)),
        Figure("views", "CPU with start-up", "µs/event", (cpu / written * 1e6,)),
    ]


async def measure_lag(seconds: int) -> list[Figure]:
    """How far live views are behind."""
    late = await lag(seconds)
    cuts = statistics.quantiles(late, n=100)
    return [
        Figure("views", f"behind at {RATE} sagas/s, p50", "ms", (cuts[49] * 1000,)),
        Figure("views", f"behind at {RATE} sagas/s, p99", "ms", (cuts[98] * 1000,)),
    ]


async def main(events: int, seconds: int) -> None:
    Console().print(figures_table([*await measure(events), *await measure_lag(seconds)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--build", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        execute(build(given.build, NAMESPACE))
    else:
        asyncio.run(main(given.events, given.seconds))
