"""Order sagas with everything on this machine: (A) with a service that echoes, (B) with the example's real services."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg

from amends import Settings
from amends.cli.bench import programs
from amends.cli.bench.cleaning import remove
from amends.cli.bench.echo import effects_said
from amends.cli.bench.figure import Figure
from amends.cli.bench.load import MOST, Load
from amends.cli.bench.measuring import Plan, balanced, measure
from amends.cli.bench.orders import effects, order
from amends.cli.bench.programs import Program
from amends.examples.order.books import SERVICES, Balance, balance, prepare
from amends.infrastructure.embedded import Servers
from benchmarks import prototype, prototype_services
from benchmarks.meters import Meters, statements
from benchmarks.results import PROTOTYPE_SYNCED, SYNCED
from benchmarks.servers import drop, settled, temporary

_PLENTY: Final = 10_000_000
_WORKERS: Final = os.cpu_count() or 1
_NUMBERS_OF_WORKERS: Final = (1, 2, 4)


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
    prototype_synced: int
    prototype_services: int
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


@dataclass(frozen=True)
class System:
    """A worker and those who answer its commands, in a namespace."""

    settings: Settings
    servers: Servers
    load: Load
    worker: Program
    services: Sequence[Program]


async def echoed(of: Round) -> list[Figure]:
    """A, and then with other numbers of workers."""
    async with _namespace(of.settings, "bench_a") as (settings, servers):
        async with _system(settings, servers, [programs.ECHO]) as system:
            figures = await _measured(of, system, "A", "echo service")
            await system.worker.stop()
            figures += await _by_workers(of, settings, system.load)
            lines = await balanced(system.load)
            lines += effects(effects_said(await system.services[0].stop()), system.load.placed)
        return [*figures, nothing_lost("A", lines)]


async def real(of: Round) -> list[Figure]:
    """The prototype with services, and then B."""
    bare = await _bare_services(of)
    async with _namespace(of.settings, "bench_b") as (settings, servers):
        urls = {name: await servers.participant_database(name) for name in SERVICES}
        await prepare(urls, {"lamp": _PLENTY})
        async with _system(settings, servers, programs.SERVICES) as system:
            figures = await _measured(of, system, "B", "four services")
            lines = await balanced(system.load)
            statuses = {row.key: row.status for row in await system.load.store.saga_rows(limit=MOST)}
            lines += await balance(urls, map(order, range(system.load.placed)), statuses)
        await drop(servers, [f"{settings.namespace}_{name}" for name in SERVICES])
        return [*bare, *figures, nothing_lost("B", lines)]


async def _bare_services(of: Round) -> list[Figure]:
    of.tell("the prototype with four services")
    async with Servers(of.settings) as servers:
        figures = await prototype_services.measure(servers, of.settings, of.scale.prototype_services)
        await prototype_services.remove(servers)
        await settled()
    return figures


async def synced(of: Round) -> list[Figure]:
    """A, and then the prototype, with a JetStream that has everything on disk before it acknowledges."""
    async with temporary(nats_sync_interval="always", namespace="bench_always") as (settings, servers):
        figures = await _echoed_synced(of, settings, servers)
        bare = await prototype.measure(
            servers.database_url, servers.nats_url, settings, of.scale.prototype_synced, PROTOTYPE_SYNCED
        )
    return [*figures, *bare]


async def _echoed_synced(of: Round, settings: Settings, servers: Servers) -> list[Figure]:
    plan = replace(of.scale.plan, seconds=of.scale.synced, rates=(), at_once=0)
    async with (
        _system(settings, servers, [programs.ECHO]) as system,
        programs.running(settings, *[programs.WORKER] * (_WORKERS - 1)),
    ):
        figures = await measure(system.load, plan, SYNCED, of.tell)
        lines = await balanced(system.load)
        lines += effects(effects_said(await system.services[0].stop()), system.load.placed)
    return [*figures, nothing_lost(SYNCED, lines)]


@asynccontextmanager
async def _system(
    settings: Settings, servers: Servers, services: Sequence[Sequence[str]]
) -> AsyncIterator[System]:
    async with (
        programs.running(settings, *services, programs.WORKER) as (*answering, worker),
        Load.open(settings) as load,
    ):
        yield System(settings, servers, load, worker, answering)


async def _measured(of: Round, system: System, subject: str, services: str) -> list[Figure]:
    """Latency with one worker; the rest, and what a saga costs while it is saturated, with one for each processor."""
    plan = of.scale.plan
    figures = await measure(system.load, replace(plan, seconds=0, at_once=0), subject, of.tell)
    async with programs.running(system.settings, *[programs.WORKER] * (_WORKERS - 1)) as others:
        processes = {"workers": [system.worker, *others], services: system.services}
        meters = Meters(system.servers, system.settings.namespace, system.load, processes)
        figures += await measure(system.load, replace(plan, rates=()), subject, of.tell, meters.edge)
        counted = await statements(system.servers, system.load, of.scale.counted, subject)
    return [*figures, *meters.figures(subject), counted]


async def _by_workers(of: Round, settings: Settings, load: Load) -> list[Figure]:
    figures: list[Figure] = []
    for count in _NUMBERS_OF_WORKERS:
        name = f"{of.scale.together:,} at once, workers: {count}"
        of.tell(name)
        async with programs.running(settings, *[programs.WORKER] * count):
            await load.at_once(of.scale.counted)
            rate = of.scale.together / await load.at_once(of.scale.together)
        figures.append(Figure("A", name, "sagas/s", (rate,)))
    return figures


def nothing_lost(subject: str, lines: Sequence[Balance]) -> Figure:
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
