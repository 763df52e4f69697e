"""A worker that can be told where to die: `python -m tests.crash.worker LABEL COUNT`, or `… LABEL COUNT limited`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from amends import Worker
from amends.cli.running import on_signal
from amends.examples.order.saga import Order
from tests.crash.limited import LIMITS, FewOrders


async def main(label: str, count: int) -> None:
    passed = 0

    def probe(at: str) -> None:
        nonlocal passed
        passed += at == label
        if count and passed == count:
            os.kill(os.getpid(), signal.SIGKILL)

    sagas, limits = ([FewOrders], LIMITS) if "limited" in sys.argv else ([Order], ())
    worker = Worker(sagas, deliver="all", limits=limits, probe=probe)
    on_signal(worker.stop)
    run = asyncio.create_task(worker.run())
    await worker.ready()
    print("ready", flush=True)
    await run


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
