"""Timers of every kind, and a worker that sets them: `python -m tests.crash.timers`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from amends import (
    Action,
    Command,
    Event,
    Failed,
    Participant,
    ProcessManager,
    Retry,
    Saga,
    Tx,
    Worker,
    on_timeout,
    starts,
    step,
    timeout,
    wait_for,
)

SOON = timedelta(seconds=10)
LATER = timedelta(hours=1)


class Begun(Event, subject="timers.begun"):
    key: str


class Heard(Event, subject="timers.heard"):
    key: str


class Listen(Command, subject="nobody.listen"):
    """Nobody answers."""


class Try(Command, subject="faulty.try"):
    """It fails for the time being."""


class Attempt(Saga[Begun], name="attempt", version=1, key="key"):
    @step(timeout=SOON)
    def listen(self) -> Listen:
        return Listen()


class Delay(Saga[Begun], name="delay", version=1, key="key"):
    @step(timeout=LATER, retry=Retry(attempts=3, delay=SOON, cap=SOON))
    def attempt(self) -> Try:
        return Try()


class Deadline(Saga[Begun], name="deadline", version=1, key="key", deadline=SOON):
    @step(timeout=LATER)
    def listen(self) -> Listen:
        return Listen()


class Wait(Saga[Begun], name="wait", version=1, key="key"):
    heard = wait_for(Heard, timeout=SOON, key="key")


class Nothing(BaseModel):
    """No state."""


class Handlers(ProcessManager[Nothing], name="handlers", version=1):
    @starts(Begun, key="key")
    def begun(self, event: Begun) -> Iterator[Action]:
        yield timeout("patience", after=SOON)

    @on_timeout("patience")
    def gave_up(self) -> Iterator[Action]:
        yield from ()


KINDS: dict[str, str] = {
    "attempt": "command.timed-out",
    "delay": "command.recorded",
    "deadline": "saga.deadline-passed",
    "wait": "wait.timed-out",
    "handlers": "timeout.fired",
}
"""Which event a saga's timer leads to."""

TIMED: list[type[Saga[Any]] | type[ProcessManager[Any]]] = [Attempt, Delay, Deadline, Wait, Handlers]


def faulty() -> Participant[None]:
    participant: Participant[None] = Participant("faulty")

    @participant.handles(Try)
    async def attempt(command: Try, tx: Tx) -> None:
        raise Failed("later", "not just now")

    return participant


async def main() -> None:
    worker = Worker(TIMED, deliver="all")
    run = asyncio.create_task(worker.run())
    await worker.ready()
    print("ready", flush=True)
    await run


if __name__ == "__main__":
    asyncio.run(main())
