"""What a saga costs: CPU of each process, rows, bytes and messages, between two moments of full load."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg

from amends.cli.bench.figure import Figure
from amends.cli.bench.load import Load
from amends.cli.bench.orders import FINAL
from amends.cli.bench.programs import Program
from amends.domain import wire
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker

_MEGABYTE: Final = 1024 * 1024
_WRITTEN: Final = (
    "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8, "
    "sum(tup_inserted + tup_updated + tup_deleted)::float8, sum(xact_commit)::float8 FROM pg_stat_database"
)
_STATEMENT: Final = re.compile(rb"LOG:  (?:execute|statement)")


@dataclass(frozen=True)
class Reading:
    """Everything since the beginning: seconds of CPU by process, what was written, sagas that are over."""

    cpu: Mapping[str, float]
    wal: float
    rows: float
    commits: float
    messages: float
    sagas: int
    worker_memory: float


class Meters:
    """Read at both ends of the measured time."""

    def __init__(
        self, servers: Servers, namespace: str, load: Load, programs: Mapping[str, Sequence[Program]]
    ) -> None:
        self._servers = servers
        self._namespace = namespace
        self._load = load
        self._programs = programs
        self.readings: list[Reading] = []

    async def edge(self) -> None:
        wal, rows, commits = await self._written()
        counts = await self._load.store.counts()
        self.readings.append(
            Reading(
                cpu=await asyncio.to_thread(self._cpu),
                wal=wal,
                rows=rows,
                commits=commits,
                messages=await self._messages(),
                sagas=sum(number for (_, status), number in counts.items() if status in FINAL),
                worker_memory=psutil.Process(self._programs["workers"][0].pid).memory_info().rss / _MEGABYTE,
            )
        )

    def figures(self, subject: str) -> list[Figure]:
        first, last = self.readings[0], self.readings[-1]
        sagas = last.sagas - first.sagas
        cpu = {name: (last.cpu[name] - first.cpu[name]) / sagas * 1e6 for name in last.cpu}
        found = [Figure(subject, f"CPU, {name}", "µs/saga", (each,)) for name, each in cpu.items()]
        return [
            *found,
            Figure(subject, "CPU, all", "µs/saga", (sum(cpu.values()),)),
            Figure(subject, "WAL", "bytes/saga", ((last.wal - first.wal) / sagas,)),
            Figure(subject, "rows written", "rows/saga", ((last.rows - first.rows) / sagas,)),
            Figure(subject, "transactions", "commits/saga", ((last.commits - first.commits) / sagas,)),
            Figure(subject, "messages stored", "messages/saga", ((last.messages - first.messages) / sagas,)),
            Figure(subject, "memory of a worker at the end", "MB", (last.worker_memory,)),
            Figure(
                subject,
                "memory that a worker gained meanwhile",
                "MB",
                (last.worker_memory - first.worker_memory,),
            ),
        ]

    def _cpu(self) -> dict[str, float]:
        postgres, nats = self._servers.postgres_pid, self._servers.nats_pid
        assert postgres is not None
        assert nats is not None
        return {
            **{name: cpu_seconds(each.pid for each in running) for name, running in self._programs.items()},
            "PostgreSQL": cpu_of_family(postgres),
            "NATS": cpu_seconds([nats]),
            "client": cpu_seconds([os.getpid()]),
        }

    async def _written(self) -> tuple[float, float, float]:
        async with await psycopg.AsyncConnection.connect(self._servers.database_url) as connection:
            [row] = await (await connection.execute(_WRITTEN)).fetchall()
            wal, rows, commits = row
            return wal, rows, commits

    async def _messages(self) -> float:
        async with Broker(self._servers.nats_url, name="meters", namespace=self._namespace) as broker:
            found = [
                await broker.api.stream(wire.stream(self._namespace, what))
                for what in ("commands", "events", "sagas")
            ]
        return float(sum(each["state"]["messages"] for each in found if each))


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(each.user + each.system for each in times)


def cpu_of_family(pid: int) -> float:
    """The same of a process and its children. Those of children that have ended are counted by their parent."""
    parent = psutil.Process(pid)
    own = parent.cpu_times()
    spent: float = own.user + own.system + own.children_user + own.children_system
    for child in parent.children():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            spent += cpu_seconds([child.pid])
    return spent


async def statements(servers: Servers, load: Load, orders: int, subject: str) -> Figure:
    """SQL statements for each saga, counted in PostgreSQL's log while so many run that were placed together."""
    log = servers.folder.log("postgres")
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
        await connection.execute("ALTER SYSTEM SET log_parameter_max_length = 0")
        await connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        await connection.execute("SELECT pg_reload_conf()")
        begin = log.stat().st_size
        await load.at_once(orders)
        end = log.stat().st_size
        await connection.execute("ALTER SYSTEM RESET log_statement")
        await connection.execute("SELECT pg_reload_conf()")
    count = await asyncio.to_thread(_counted, log, begin, end)
    return Figure(subject, "SQL statements", "statements/saga", (count / orders,))


def _counted(log: Path, begin: int, end: int) -> int:
    with log.open("rb") as file:
        file.seek(begin)
        return len(_STATEMENT.findall(file.read(end - begin)))
