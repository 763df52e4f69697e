"""The embedded PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from amends.infrastructure.embedded import processes, programs
from amends.infrastructure.embedded.account import Account
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.embedded.server import plain_environment
from amends.infrastructure.errors import EmbeddedFailed

_PORT = 5432  # names the socket; there is no listener on the network
_STATUS_LINE = 7  # of postmaster.pid, counted from 0; the last one

# Durable, and modest: it shares a small machine with NATS and the workers.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    # In the data folder: /dev/shm has 64 MB in a container, and keeps for ever what kill -9 leaves there.
    "dynamic_shared_memory_type": "mmap",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # It costs more of the processor than it saves of the disk: a third of what a saga costs a large store.
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "jit": "off",
    "autovacuum": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """PostgreSQL 18 on a socket in a folder that only its account (and root) can enter; hence no password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": open transactions are rolled back, and everything is on disk
    patience = 30.0

    def __init__(self, folder: Folder, account: Account | None, progress: Callable[[str], None]) -> None:
        self._folder = folder
        self._account = account
        self._progress = progress
        self._program: programs.Program | None = None

    @property
    def _binary(self) -> programs.Program:
        if self._program is None:
            self._program = programs.within_reach(programs.postgres(), self._account, self._folder.home)
        return self._program

    async def prepare(self) -> None:
        data = self._folder.postgres_data
        if not data.exists():
            self._progress("creating the PostgreSQL cluster (once for this folder)")
            await self._create(data)
        _drop_foreign_lock(data)
        self._progress("starting PostgreSQL")

    async def _create(self, data: Path) -> None:
        """By way of another name, so that half a cluster is never taken for one."""
        unfinished = data.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self._account:
            shutil.chown(unfinished, self._account.uid, self._account.gid)
        uid, gid = (self._account.uid, self._account.gid) if self._account else (None, None)
        process = await asyncio.create_subprocess_exec(
            str(self._binary.beside("initdb")), "--pgdata", str(unfinished), "--username", "amends",
            "--auth-local", "trust", "--auth-host", "reject", "--encoding", "UTF8",
            # The provider that is built in: the same order on every system, whatever locales are installed.
            "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--no-instructions",
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd="/", env=plain_environment(),
            user=uid, group=gid, extra_groups=[] if self._account else None,
        )  # fmt: skip
        output, _ = await process.communicate()
        if process.returncode != 0:
            text = output.decode(errors="replace").strip()
            raise EmbeddedFailed(
                f"initdb was expected to create {data}, and ended with {process.returncode}:\n{text}"
            )
        unfinished.rename(data)

    def command(self) -> list[str]:
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        data, sockets = str(self._folder.postgres_data), str(self._folder.sockets)
        return [str(self._binary.path), "-D", data, "-k", sockets, *options]

    async def ready(self, pid: int) -> bool:
        """As pg_ctl tells it: by the pid and the status in postmaster.pid."""
        lines = _lock_file(self._folder.postgres_data)
        return lines[:1] == [str(pid)] and [line.strip() for line in lines[_STATUS_LINE:]] == ["ready"]

    def url(self) -> str:
        return f"postgresql://amends@/amends?host={quote(str(self._folder.sockets), safe='')}&port={_PORT}"


def _lock_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _drop_foreign_lock(data: Path) -> None:
    """Remove a postmaster.pid left by kill -9 whose pid now belongs to another program.

    PostgreSQL itself passes over a pid that is free, but not over one that was used again.
    """
    lines = _lock_file(data)
    if lines and (owner := processes.command(int(lines[0]))) and str(data) not in owner:
        (data / "postmaster.pid").unlink()
