from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import amends
from amends.infrastructure.embedded import processes
from amends.infrastructure.embedded.folder import Folder

WITHIN = 20.0


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder that every account can enter."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and not os.statvfs(memory).f_flag & os.ST_NOEXEC
    path = Path(tempfile.mkdtemp(prefix="amends-test-", dir=memory if usable else None))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def data_dir(parent: Path) -> Iterator[Path]:
    """A data folder that is not there yet. Afterwards its servers are stopped and all of it is deleted."""
    path = parent / ".amends"
    yield path
    if path.exists():
        wait_for_stop(path)
        if path.stat().st_uid == os.geteuid():
            Folder(path).delete()


def wait_for_stop(data_dir: Path) -> None:
    """Wait until the keeper of the folder has stopped its servers: it holds a lock until then."""
    with (data_dir / "keeper.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@dataclass
class ClientProcess:
    """`client.py`, running."""

    process: subprocess.Popen[str]
    database_url: str
    nats_url: str
    postgres: int
    nats: int
    session: int

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(WITHIN) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN)


StartClient = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_client(data_dir: Path) -> Iterator[StartClient]:
    """Starts `client.py`, without waiting for what it says."""
    started: list[subprocess.Popen[str]] = []

    def start(
        path: Path = data_dir, before: tuple[str, ...] = (), stderr: int | None = None
    ) -> subprocess.Popen[str]:
        search = [str(Path(amends.__path__[0]).parent), *(one for one in sys.path if one)]
        process = subprocess.Popen(
            [*before, sys.executable, str(Path(__file__).with_name("client.py")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(search)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes
            pass


def reached(process: subprocess.Popen[str]) -> ClientProcess:
    """The client once it has reached the servers."""
    assert process.stdout is not None
    return ClientProcess(process, **json.loads(process.stdout.readline()))


def parent_of(pid: int) -> int:
    return int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)]))


def alive(pid: int) -> bool:
    return processes.begun(pid) is not None


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; fail when it does not within WITHIN seconds."""
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - of other processes there is no event to await
            await asyncio.sleep(0.01)
