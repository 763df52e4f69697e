"""A payments service that dies at a labelled point. Arguments: label, database, NATS, namespace."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta

from tests.participant.service import payments


def main(label: str, database_url: str, nats_url: str, namespace: str) -> None:
    def probe(reached: str) -> None:
        if reached == label:
            os.kill(os.getpid(), signal.SIGKILL)

    participant = payments(probe=probe, batch=10, ack_wait=timedelta(seconds=2))
    asyncio.run(participant.run(database_url=database_url, nats_url=nats_url, namespace=namespace))


if __name__ == "__main__":
    main(*sys.argv[1:])
