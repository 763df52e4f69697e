"""A NATS server of a test's own, to be killed, emptied and started again."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from amends.infrastructure.broker import Mark
from amends.infrastructure.embedded import programs


class OwnServer:
    """nats-server on a loopback port that stays the same, its store in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.config = folder / "nats.conf"
        self.more = ""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.credentials = ""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://{self.credentials}127.0.0.1:{self.port}"

    async def start(self, *, jetstream: bool = True) -> None:
        enabled = f'jetstream {{ store_dir: "{self.store}" }}' if jetstream else ""
        self.config.write_text(f'listen: "127.0.0.1:{self.port}"\n{enabled}\n{self.more}\n')
        self._process = await asyncio.create_subprocess_exec(
            str(programs.nats().path),
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(20):
            while b"Server is ready" not in (line := await self._process.stderr.readline()):
                assert line, "the server ended"
        self._drain = asyncio.create_task(self._process.stderr.read())

    async def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        await process.wait()
        await self._drain

    async def restart(self, *, kill: bool = True, empty: bool = False) -> None:
        await self.stop(kill=kill)
        if empty:
            shutil.rmtree(self.store)
        await self.start()


class Marks:
    """A store of marks that survives what survives the test's objects."""

    def __init__(self) -> None:
        self.marks: dict[str, Mark] = {}

    async def load(self) -> dict[str, Mark]:
        return dict(self.marks)

    async def store(self, marks: Mapping[str, Mark]) -> None:
        self.marks |= marks


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[OwnServer]:
    server = OwnServer(tmp_path)
    await server.start()
    yield server
    await server.stop(kill=True)


@pytest.fixture
def marks() -> Marks:
    return Marks()
