"""The state of one saga as of an instant, among very many events: how long the question takes.

`python benchmarks/history.py [--events N]`: PostgreSQL of its own, loopback only. One saga has 1,000 events; the
others, which make up the rest, have ten each.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from rich.console import Console

from amends.cli.bench.figure import Figure
from amends.cli.bench.showing import figures_table
from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.history import Recorded
from amends.infrastructure.postgres.store import PostgresStore
from amends.projections.travel.moments import as_of
from amends.projections.travel.system import census
from benchmarks.servers import temporary

NAMESPACE = "bench"
LONG = 1_000
SHORT = 10
T0 = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 100


def history(saga_id: UUID, count: int) -> Iterator[Recorded]:
    """A saga whose step is tried again and again: a start, then attempt and failure in turns."""
    aggregate, key = SagaAggregate(saga_id), uuid4()
    started = e.SagaStarted(
        at=T0, cause="m1", by="w1", saga="order", definition=1, namespace=NAMESPACE, key=str(saga_id),
        subject="orders.placed", start={"order_id": str(saga_id), "total": "9.90"},
    )  # fmt: skip
    events: list[e.SagaEvent] = [started]
    for number in range(1, count):
        at, attempt = T0 + timedelta(seconds=number), (number + 1) // 2
        common = {"at": at, "cause": f"m{number}", "by": "w1", "step": "charge", "attempt": attempt}
        if number % 2:
            events.append(
                e.CommandRecorded(
                    command_id=uuid4(), key=key, subject="payments.charge", reply_subject="payments.charged",
                    payload={"amount": "9.90"} if attempt == 1 else None, expires=at + timedelta(seconds=30),
                    **common,
                )
            )  # fmt: skip
        else:
            events.append(e.CommandFailed(reason="the bank is shut", **common))
    yield from aggregate.append(events)


async def fill(url: str, events: int) -> UUID:
    """Returns the saga with the long history."""
    chosen = uuid4()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(NAMESPACE)))
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY events (originator_id, originator_version, topic, state) FROM STDIN") as copy,
        ):
            for recorded in history(chosen, LONG):
                await copy.write_row(row(recorded))
            template = list(history(uuid4(), SHORT))
            for _ in range((events - LONG) // SHORT):
                saga_id = uuid4()
                for recorded in template:
                    await copy.write_row((saga_id, *row(recorded)[1:]))
        await connection.execute(
            "INSERT INTO sagas (saga_id, saga, definition, key, status, version, expected)"
            " SELECT originator_id, 'order', 1, originator_id::text, 'running', max(originator_version), 0"
            " FROM events GROUP BY originator_id"
        )
        await connection.execute("ANALYZE")
    return chosen


def row(recorded: Recorded) -> tuple[UUID, int, str, bytes]:
    return recorded.originator_id, recorded.originator_version, recorded.topic, recorded.stored


async def measure(events: int) -> list[Figure]:
    async with (
        temporary(namespace=NAMESPACE) as (_, servers),
        PostgresStore.open(servers.database_url, NAMESPACE) as store,
    ):
        chosen = await fill(servers.database_url, events)
        took: list[float] = []
        for number in range(ROUNDS):
            began = time.perf_counter()
            past = as_of(await store.unread(chosen), T0 + timedelta(seconds=LONG * number / ROUNDS))
            took.append((time.perf_counter() - began) * 1000)
            assert past.version == LONG * number // ROUNDS + 1
        cuts = statistics.quantiles(took, n=100)
        began = time.perf_counter()
        found = await census(store, T0 + timedelta(seconds=5))
        seconds = time.perf_counter() - began
        assert found.places.total() == (events - LONG) // SHORT + 1
    one = f"state as of an instant, {LONG:,} events"
    return [
        Figure("replay", f"{one}, p50", "ms", (cuts[49],)),
        Figure("replay", f"{one}, p99", "ms", (cuts[98],)),
        Figure("replay", "all sagas as of an instant", "events/s", (events / seconds,)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    Console().print(figures_table(asyncio.run(measure(parser.parse_args().events))))
