"""A service of an example that dies at a labelled point. Arguments: module:name, label, database, NATS, namespace.

It says so when it takes messages.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from importlib import import_module

from amends import Participant


def main(target: str, label: str, database_url: str, nats_url: str, namespace: str) -> None:
    module, _, name = target.partition(":")
    participant: Participant = getattr(import_module(module), name)

    def probe(reached: str) -> None:
        if reached == label:
            os.kill(os.getpid(), signal.SIGKILL)

    vars(participant)["probe"] = probe
    asyncio.run(run(participant, database_url, nats_url, namespace))


async def run(participant: Participant, database_url: str, nats_url: str, namespace: str) -> None:
    async with participant.running(
        database_url=database_url, nats_url=nats_url, namespace=namespace
    ) as running:
        print("ready", flush=True)
        await running.stopped()


if __name__ == "__main__":
    main(*sys.argv[1:])
