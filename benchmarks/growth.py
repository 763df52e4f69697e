"""Whether sagas cost more when millions of them are over: throughput beside ten million stored events.

`python -m benchmarks.growth [--events N] [--rounds R] [--orders O] [--folder F] [--results FILE]`: everything on this
machine, servers of its own. One namespace is empty at first, the other holds N events of orders that are over: a
thousand were really run, the others are copies of their rows. Then each is given O orders in turns. A gigabyte of disk
holds 1.6 million events; with --folder they are kept, and made only once.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psycopg

from amends import Settings
from amends.cli.bench.figure import Figure, together
from amends.cli.bench.load import Load
from amends.cli.bench.programs import ECHO, WORKER, running
from amends.infrastructure.embedded import Servers
from benchmarks.meters import cpu_of_family
from benchmarks.results import Results
from benchmarks.servers import temporary

EMPTY: Final = "empty"
GROWN: Final = "grown"
HERE: Final = Path(__file__).parent
_ORIGINALS: Final = 1_000
_COPIES_AT_ONCE: Final = 25


async def prepare(url: str, settings: Settings, events: int) -> None:
    """Run the first orders, and copy them where the namespace is to be filled."""
    async with running(settings, WORKER, ECHO), Load.open(settings) as load:
        await load.at_once(_ORIGINALS)
    if settings.namespace == GROWN:
        await fill(url, events)


async def fill(url: str, events: int) -> None:
    """Copy the sagas that are there, all of them over, until there are so many events."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SET synchronous_commit TO off")
        await connection.execute("SET work_mem TO '256MB'")
        for table in ("sagas", "events"):
            made = f"CREATE TEMPORARY TABLE original_{table} AS TABLE {GROWN}.{table}"
            await connection.execute(made.encode())
        each = await number(connection, "SELECT count(*) FROM original_events")
        copies = events // each - 1
        for first in range(0, copies, _COPIES_AT_ONCE):
            last = min(first + _COPIES_AT_ONCE, copies) - 1
            for name in ("copy_sagas", "copy_events"):
                text = (HERE / f"{name}.sql").read_text().replace("{schema}", GROWN)
                await connection.execute(text.encode(), {"first": first, "last": last})
            print(f"{(last + 2) * each:12,} events", flush=True)
        await connection.execute(f"VACUUM (ANALYZE) {GROWN}.events, {GROWN}.sagas".encode())
        await connection.execute("CHECKPOINT")


async def number(connection: psycopg.AsyncConnection, query: str) -> int:
    rows = await (await connection.execute(query.encode())).fetchall()
    return int(rows[0][0])


class Place:
    """A namespace with its worker and its service."""

    def __init__(self, name: str, load: Load, pids: Sequence[int]) -> None:
        self._name = name
        self._load = load
        self._pids = pids

    @classmethod
    async def open(cls, stack: AsyncExitStack, url: str, settings: Settings) -> Place:
        worker, _ = await stack.enter_async_context(running(settings, WORKER, ECHO))
        load = await stack.enter_async_context(Load.open(settings))
        servers = await stack.enter_async_context(Servers(settings))
        assert servers.postgres_pid is not None
        async with await psycopg.AsyncConnection.connect(url) as connection:
            # Copies were not placed; their keys have a slash.
            query = f"SELECT count(*) FROM {settings.namespace}.sagas WHERE key NOT LIKE '%/%'"
            load.placed = await number(connection, query)
        return cls(settings.namespace, load, (servers.postgres_pid, worker.pid))

    async def measure(self, orders: int) -> list[Figure]:
        before = [cpu_of_family(pid) for pid in self._pids]
        rate = orders / await self._load.at_once(orders)
        spent = [cpu_of_family(pid) - early for pid, early in zip(self._pids, before, strict=True)]
        postgres, worker = (each / orders * 1e6 for each in spent)
        print(
            f"{self._name:6}{rate:8,.0f} sagas/s, µs of CPU: PostgreSQL {postgres:,.0f}, of the worker {worker:,.0f}"
        )
        return [
            Figure(self._name, "throughput", "sagas/s", (rate,)),
            Figure(self._name, "CPU of PostgreSQL", "µs", (postgres,)),
            Figure(self._name, "CPU of the worker", "µs", (worker,)),
        ]


async def compare(
    url: str, settings: Sequence[Settings], rounds: int, orders: int, results: Results | None
) -> float:
    """Give each namespace so many orders, in turns. Returns the share of the empty one's throughput that is left."""
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        places = [await Place.open(stack, url, each) for each in settings]
        for place in places:
            await place.measure(orders // 5)
        for round_ in range(1, rounds + 1):
            began = time.perf_counter()
            found = [each for place in places for each in await place.measure(orders)]
            places.reverse()
            figures += found
            if results:
                results.add("growth", round_, time.perf_counter() - began, found)
    rates = {each.subject: each.median for each in together(figures) if each.name == "throughput"}
    return rates[GROWN] / rates[EMPTY]


async def grow(base: Settings, events: int, rounds: int, orders: int, results: Results | None) -> None:
    settings = [base.model_copy(update={"namespace": name}) for name in (EMPTY, GROWN)]
    filled = base.data_dir / "filled"
    async with Servers(base) as servers:
        if not filled.exists():
            for each in settings:
                await prepare(servers.database_url, each, events)
            filled.touch()
        share = await compare(servers.database_url, settings, rounds, orders, results)
    print(
        f"beside {events:,} stored events: {share:.0%} of the throughput of an empty store, medians of {rounds} rounds"
    )


async def main(given: argparse.Namespace) -> None:
    results = Results(given.results) if given.results else None
    async with AsyncExitStack() as stack:
        if given.folder:
            base = Settings(data_dir=given.folder)
        else:
            base, _ = await stack.enter_async_context(temporary())
        await grow(base, given.events, given.rounds, given.orders, results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=5_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--results", type=Path)
    asyncio.run(main(parser.parse_args()))
