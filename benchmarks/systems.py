"""Order sagas with everything on this machine: (A) with a service that echoes, (B) with the example's real services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from amends import Settings
from amends.cli.bench import programs
from amends.cli.bench.cleaning import remove
from amends.cli.bench.echo import effects_said
from amends.cli.bench.figure import Figure
from amends.cli.bench.load import Load
from amends.cli.bench.measuring import Plan, balanced, measure
from amends.cli.bench.orders import effects, order
from amends.examples.order.books import SERVICES, Balance, balance, prepare
from amends.infrastructure.embedded import Servers
from benchmarks.meters import Meters, statements
from benchmarks.servers import temporary

_PLENTY: Final = 10_000_000
_MORE_WORKERS: Final = (1, 2, 4)


class Unbalanced(Exception):
    """Something was lost or doubled."""


@dataclass(frozen=True)
class Scale:
    """How long each part of a round is measured."""

    plan: Plan
    counted: int
    together: int
    synced: float
    machine: float
    messages: int
    prototype: int
    dbos: int
    events: int


@dataclass(frozen=True)
class Round:
    """One round: servers that all its parts share, one after the other."""

    number: int
    settings: Settings
    scale: Scale
    peers: Path | None
    tell: Callable[[str], None]


async def echoed(of: Round) -> list[Figure]:
    """A, and then with more workers."""
    async with _namespace(of.settings, "bench_a") as (settings, servers):
        async with (
            programs.running(settings, programs.ECHO, programs.WORKER) as (echo, worker),
            Load.open(settings) as load,
        ):
            meters = Meters(servers, settings.namespace, load, {"worker": worker, "echo service": echo})
            figures = await measure(load, of.scale.plan, "A", of.tell, meters.edge)
            figures += meters.figures("A")
            figures.append(await statements(servers, load, of.scale.counted, "A"))
            figures += await _more_workers(of, settings, load)
            lines = await balanced(load)
            lines += effects(effects_said(await echo.stop()), load.placed)
        return [*figures, _lost("A", lines)]


async def _more_workers(of: Round, settings: Settings, load: Load) -> list[Figure]:
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        running = 1
        for count in _MORE_WORKERS:
            of.tell(f"{of.scale.together:,} at once, workers: {count}")
            for _ in range(count - running):
                await stack.enter_async_context(programs.program(settings, *programs.WORKER))
            running = count
            rate = of.scale.together / await load.at_once(of.scale.together)
            name = f"{of.scale.together:,} at once, workers: {count}"
            figures.append(Figure("A", name, "sagas/s", (rate,)))
    return figures


async def real(of: Round) -> list[Figure]:
    """B."""
    async with _namespace(of.settings, "bench_b") as (settings, servers):
        urls = {name: await servers.participant_database(name) for name in SERVICES}
        await prepare(urls, {"lamp": _PLENTY})
        async with (
            programs.running(settings, programs.SERVICES, programs.WORKER) as (services, worker),
            Load.open(settings) as load,
        ):
            meters = Meters(servers, settings.namespace, load, {"worker": worker, "four services": services})
            figures = await measure(load, of.scale.plan, "B", of.tell, meters.edge)
            figures += meters.figures("B")
            figures.append(await statements(servers, load, of.scale.counted, "B"))
            lines = await balanced(load)
            lines += await balance(urls, map(order, range(load.placed)), await _statuses(load))
        await _drop(servers, [f"{settings.namespace}_{name}" for name in SERVICES])
        return [*figures, _lost("B", lines)]


async def synced(of: Round) -> list[Figure]:
    """A with a JetStream that has everything on disk before it acknowledges."""
    plan = replace(of.scale.plan, seconds=of.scale.synced, rates=(), at_once=0)
    async with (
        temporary(nats_sync_interval="always", namespace="bench_always") as (settings, _),
        programs.running(settings, programs.ECHO, programs.WORKER) as (echo, _),
        Load.open(settings) as load,
    ):
        figures = await measure(load, plan, "A, JetStream syncs always", of.tell)
        lines = await balanced(load)
        lines += effects(effects_said(await echo.stop()), load.placed)
    return [*figures, _lost("A, JetStream syncs always", lines)]


async def _statuses(load: Load) -> Mapping[str, str]:
    return {row.key: row.status for row in await load.store.saga_rows(saga="order", limit=_PLENTY)}


def _lost(subject: str, lines: Sequence[Balance]) -> Figure:
    """The books balance, or there is no figure. Raises `Unbalanced`."""
    wrong = [
        f"{line.what}: expected {line.expected}, found {line.found}"[:500] for line in lines if not line.holds
    ]
    if wrong:
        raise Unbalanced(f"{subject}: " + "; ".join(wrong))
    return Figure(subject, "lost or doubled", "sagas", (0.0,))


@asynccontextmanager
async def _namespace(settings: Settings, name: str) -> AsyncIterator[tuple[Settings, Servers]]:
    """A namespace that begins with an idle server, and is gone afterwards."""
    own = settings.model_copy(update={"namespace": name})
    async with Servers(own) as servers:
        async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
            await connection.execute("CHECKPOINT")
        yield own, servers
        await remove(servers.database_url, servers.nats_url, name)


async def _drop(servers: Servers, databases: Sequence[str]) -> None:
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
        for name in databases:
            await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
