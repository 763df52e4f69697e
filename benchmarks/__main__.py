"""Everything that is measured on this machine: `make bench`, or `python -m benchmarks`.

A round is one run of every part, one after the other, on servers of its own; ratios are taken within a round, for the
machine drifts. Results are written after every part: `--resume` goes on where a run was cut off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Final

from rich.console import Console

from amends import Settings
from amends.cli.bench.figure import Figure
from amends.cli.bench.measuring import Plan
from amends.cli.bench.showing import figures_table
from amends.cli.running import execute
from amends.infrastructure.embedded import Servers
from benchmarks import history, machine, projections, prototype, recovery, systems
from benchmarks.results import Results
from benchmarks.sample import sample
from benchmarks.servers import settled, temporary
from benchmarks.systems import Round, Scale

SHORT: Final = Scale(
    Plan(seconds=10, warm=3, rates=(20, 100), light_seconds=4, at_once=1_000),
    counted=500, together=1_000, synced=5, machine=1, messages=10_000, prototype=2_000,
    prototype_synced=1_000, prototype_services=1_000, dbos=150, events=30_000,
)  # fmt: skip
FULL: Final = Scale(
    Plan(seconds=60, warm=6, rates=(20, 100), light_seconds=8, at_once=10_000),
    counted=2_000, together=5_000, synced=15, machine=1.5, messages=20_000, prototype=50_000,
    prototype_synced=15_000, prototype_services=30_000, dbos=400, events=50_000,
)  # fmt: skip
RUNS: Final = 5

out = Console(stderr=True)
Part = Callable[[Round], Awaitable[list[Figure]]]


async def alone(of: Round) -> list[Figure]:
    """What PostgreSQL and JetStream take by themselves."""
    taken = await sample(of.settings)
    async with Servers(of.settings) as servers:
        return [
            *await machine.postgres(servers.database_url, taken, of.scale.machine),
            *await machine.jetstream(servers.nats_url, taken, of.scale.messages),
        ]


async def stripped(of: Round) -> list[Figure]:
    """What is left of this design without what makes sagas of it."""
    async with Servers(of.settings) as servers:
        return await prototype.measure(
            servers.database_url, servers.nats_url, of.settings, of.scale.prototype,
            light=of.scale.plan.light_seconds,
        )  # fmt: skip


async def dbos(of: Round) -> list[Figure]:
    """The peer, on the same PostgreSQL."""
    if of.peers is None:
        return []
    async with Servers(of.settings) as servers:
        url = (await servers.database(f"bench_dbos_{of.number}")).replace(
            "postgresql:", "postgresql+psycopg:", 1
        )
        process = await asyncio.create_subprocess_exec(
            of.peers, "-P", str(Path(__file__).with_name("dbos_orders.py")), url, str(of.scale.dbos),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(
                f"DBOS' program ended with {process.returncode}; what it complained of is above"
            )
    measured = json.loads(said)
    return [
        Figure("DBOS", "saturated", "sagas/s", (measured["rate"],)),
        Figure("DBOS", "CPU, its processes", "µs/saga", (measured["cpu"] * 1e6,)),
    ]


async def read_again(of: Round) -> list[Figure]:
    """Histories folded, and views made anew."""
    return [*await history.measure(of.scale.events), *await projections.measure(of.scale.events)]


async def recovered(of: Round) -> list[Figure]:
    """A worker is killed with as many sagas in flight as are placed at once."""
    return await recovery.measure(of.scale.plan.at_once)


COMPARED: Final[Mapping[str, Part]] = {
    "alone": alone,
    "prototype": stripped,
    "A": systems.echoed,
    "B": systems.real,
    "dbos": dbos,
    "always": systems.synced,
}
BESIDE: Final[Mapping[str, Part]] = {"replay": read_again, "recovery": recovered}
PARTS: Final = {**COMPARED, **BESIDE}


async def measure(chosen: argparse.Namespace, results: Results) -> int:
    """First what is compared with each other, in all rounds, then the rest. Returns how many parts failed."""
    failed = 0
    for some, number in product((COMPARED, BESIDE), range(1, chosen.runs + 1)):
        parts = [part for part in some if part in (chosen.only or PARTS) and not results.has(part, number)]
        if not parts:
            continue
        async with temporary() as (settings, _):
            for part in parts:
                try:
                    await _measure(part, number, settings, chosen, results)
                except Exception:  # noqa: BLE001 - the others are measured all the same
                    out.print_exception()
                    failed += 1
    return failed


async def _measure(
    part: str, number: int, settings: Settings, chosen: argparse.Namespace, results: Results
) -> None:
    began = time.perf_counter()
    title = f"run {number} of {chosen.runs}, {part}"

    def tell(text: str) -> None:
        out.print(f"[dim]{title}: {text}[/dim]", highlight=False)

    tell("begins")
    await settled()
    scale = FULL if chosen.full else SHORT
    figures = await PARTS[part](Round(number, settings, scale, chosen.peers, tell))
    seconds = time.perf_counter() - began
    results.add(part, number, seconds, figures)
    tell(f"took {seconds:.0f} s")


def draw(chosen: argparse.Namespace) -> None:
    """The plot needs what is not installed with Amends."""
    if chosen.peers:
        program = Path(__file__).with_name("plot.py")
        drawn = chosen.results.with_suffix(".svg")
        subprocess.run([chosen.peers, "-P", program, chosen.results, drawn], check=True)
        out.print(f"wrote {drawn}", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="as long as the page has it: a minute at saturation"
    )
    parser.add_argument("--runs", type=int, help=f"how many runs of each (1, and {RUNS} with --full)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone")
    parser.add_argument(
        "--results", type=Path, default=Path("build/bench/results.json"), help="where they are kept"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep what is in the file, and measure the rest"
    )
    parser.add_argument(
        "--peers", type=Path, help="a Python with requirements/bench.txt: DBOS, and for the plot"
    )
    chosen = parser.parse_args()
    chosen.runs = chosen.runs or (RUNS if chosen.full else 1)
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    if not chosen.resume:
        chosen.results.unlink(missing_ok=True)
    results = Results(chosen.results)
    failed = execute(measure(chosen, results))
    Console().print(figures_table(results.figures()))
    out.print(f"wrote {chosen.results}", highlight=False)
    draw(chosen)
    if failed:
        sys.exit(f"{failed} parts failed, and are not among the results; --resume measures them again")


if __name__ == "__main__":
    main()
