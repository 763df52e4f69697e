"""A hotel that reacts to events and dies at a labelled point. Arguments: label, database, NATS, namespace."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta

from tests.participant.rooms import hotels


def main(label: str, database_url: str, nats_url: str, namespace: str) -> None:
    def probe(reached: str) -> None:
        if reached == label:
            os.kill(os.getpid(), signal.SIGKILL)

    participant = hotels(probe=probe, batch=10, ack_wait=timedelta(seconds=2))
    asyncio.run(participant.run(database_url=database_url, nats_url=nats_url, namespace=namespace))


if __name__ == "__main__":
    main(*sys.argv[1:])
