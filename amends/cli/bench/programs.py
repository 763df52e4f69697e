"""Programs of a measurement, each in a process of its own as in earnest."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from pydantic import SecretStr

from amends.domain.errors import AmendsError
from amends.examples.order import books
from amends.infrastructure.settings import PREFIX, Settings

WORKER: Final = ("-m", "amends", "worker", "--no-views", "amends.examples.order.saga:Order")
ECHO: Final = ("-m", "amends.cli.bench.echo")
SERVICES: Final = [
    ("-m", "amends", "participant", f"amends.examples.order:{name}") for name in books.SERVICES
]

_READY_WITHIN: Final = 60
_STOPS_WITHIN: Final = 60
_OWN: Final = {"metrics", "log_level", "log_format"}


class ProgramEnded(AmendsError):
    """A program of the measurement ended where it should run."""


class Program:
    """A program that said that it is ready."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._said: str | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def stop(self) -> str:
        """Have it finish its batch and end. Returns what it said since it was ready."""
        if self._said is None:
            if self._process.returncode is None:
                self._process.terminate()
            async with asyncio.timeout(_STOPS_WITHIN):
                said, _ = await self._process.communicate()
            self._said = said.decode()
        return self._said


@asynccontextmanager
async def program(settings: Settings, *arguments: str) -> AsyncIterator[Program]:
    """A Python program with these settings, beside the body. Raises `ProgramEnded` where it does not begin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=_environment(settings), stdout=PIPE
    )
    started = Program(process)
    try:
        await _ready(process, " ".join(arguments))
        yield started
        await started.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def running(settings: Settings, *commands: Sequence[str]) -> AsyncIterator[list[Program]]:
    """Several programs, in this order; they stop in the reverse order."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(program(settings, *command)) for command in commands]


async def _ready(process: Process, name: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(_READY_WITHIN):
        while line := await process.stdout.readline():
            if line.startswith(b"ready"):
                return
    raise ProgramEnded(f"expected `{name}` to say that it is ready; it ended. What it complained of is above")


def _environment(settings: Settings) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    ours = {name: getattr(settings, name) for name in Settings.model_fields if name not in _OWN}
    chosen = {f"{PREFIX}{name.upper()}": _text(value) for name, value in ours.items() if value is not None}
    return {**plain, **chosen, f"{PREFIX}LOG_LEVEL": "error"}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
