"""How long it takes until everything is over after a worker was killed, beside the same without.

`python -m benchmarks.recovery [--orders N]`: everything on this machine, servers of its own. N sagas are started and
wait for a service; it comes, and as soon as a saga turns back the worker is killed (-9) and another one is started.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Final

from amends import Settings
from amends.cli.bench.echo import effects_said
from amends.cli.bench.figure import Figure
from amends.cli.bench.load import Load
from amends.cli.bench.measuring import balanced
from amends.cli.bench.orders import effects
from amends.cli.bench.programs import ECHO, WORKER, program, running
from amends.cli.running import execute
from amends.infrastructure.clock import SystemClock
from benchmarks.servers import temporary
from benchmarks.systems import nothing_lost

SUBJECT: Final = "A, worker killed"
_LOOK_EVERY: Final = 0.02


async def measure(count: int) -> list[Figure]:
    """Seconds until so many sagas are over, with a worker that is killed on the way and without."""
    async with temporary(namespace="undisturbed") as (settings, _):
        undisturbed, _ = await settled(settings, count, kill=False)
    async with temporary(namespace="killed") as (settings, _):
        killed, lost = await settled(settings, count, kill=True)
    name = f"{count:,} in flight, until all are over"
    return [
        Figure("A, undisturbed", name, "s", (undisturbed,)),
        Figure(SUBJECT, name, "s", (killed,)),
        Figure(SUBJECT, "that costs", "s", (killed - undisturbed,)),
        lost,
    ]


async def settled(settings: Settings, count: int, *, kill: bool) -> tuple[float, Figure]:
    """Seconds until all are over, since the first one turned back."""
    async with AsyncExitStack() as stack:
        [worker] = await stack.enter_async_context(running(settings, WORKER))
        load = await stack.enter_async_context(Load.open(settings))
        await load.place(count)
        await until(load, "running", count)
        [echo] = await stack.enter_async_context(running(settings, ECHO))
        await until(load, "compensating", 1)
        began = time.perf_counter()
        if kill:
            os.kill(worker.pid, signal.SIGKILL)
            await stack.enter_async_context(program(settings, *WORKER))
        await load.drained()
        took = time.perf_counter() - began
        lines = [*await balanced(load), *effects(effects_said(await echo.stop()), count)]
        return took, nothing_lost(SUBJECT, lines)


async def until(load: Load, status: str, count: int) -> None:
    """Returns when there are so many sagas of this status."""
    clock = SystemClock()
    while (await load.store.counts()).get(("order", status), 0) < count:
        await clock.sleep(_LOOK_EVERY)


async def main(count: int) -> None:
    for figure in await measure(count):
        print(f"{figure.subject:18} {figure.name}: {figure.median:.1f} {figure.unit}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    execute(main(parser.parse_args().orders))
