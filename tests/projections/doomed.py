"""A runner that kills itself: `python -m tests.projections.doomed URL LABEL COUNT (follow | rebuild)`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from amends.projections.catalogue import PROJECTIONS
from amends.projections.runner import Runner


async def main(url: str, label: str, count: int, what: str) -> None:
    passed = 0

    def probe(at: str) -> None:
        nonlocal passed
        passed += at == label
        if passed == count:
            os.kill(os.getpid(), signal.SIGKILL)

    runner = Runner(url, "test", batch_size=20, probe=probe)
    if what == "rebuild":
        await runner.rebuild([each.name for each in PROJECTIONS])
    else:
        await runner.run()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
