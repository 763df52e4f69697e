"""One server as a child of the keeper: started, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from amends.infrastructure.embedded import launcher, processes
from amends.infrastructure.embedded.account import Account
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.errors import EmbeddedFailed

_READY_WITHIN = 60.0
_READY_CHECKED_EVERY = 0.02
_STABLE_AFTER = 10.0
_MOST_FAILURES = 8
_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 2.0
_KILLED_WITHIN = 10.0
_LONGEST_LOG = 10_000_000


class Server(Protocol):
    """What the keeper must know of a server."""

    name: str
    stop_signal: signal.Signals
    """Ends it in good order."""
    patience: float
    """Seconds that it may take for that."""

    async def prepare(self) -> None:
        """Make its data, if that is missing; before its first start, and again before every other."""
        ...

    def command(self) -> list[str]:
        """Program and arguments."""
        ...

    async def ready(self, pid: int) -> bool:
        """Whether the process `pid` answers yet."""
        ...

    def url(self) -> str:
        """Where its clients find it."""
        ...


class Kept:
    """A server that is kept running.

    `pid` is None while it does not answer, `reached` whether it ever has. `changed` is called at each change.
    """

    def __init__(
        self, server: Server, folder: Folder, account: Account | None, changed: Callable[[], None]
    ) -> None:
        self.server = server
        self.pid: int | None = None
        self.reached = False
        self._folder = folder
        self._account = account
        self._changed = changed
        self._process: Process | None = None

    async def keep(self) -> None:
        """Run the server until cancelled. Raises EmbeddedFailed when it does not stay up."""
        self._stop_leftover()
        _rotate(self._folder.log(self.server.name))
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            await self.server.prepare()
            why = await self._run_once()
            stable = asyncio.get_running_loop().time() - began > _STABLE_AFTER
            failures = 1 if stable else failures + 1
            if failures >= _MOST_FAILURES:
                raise self._failed(f"{why}, {failures} times in a row")
            await asyncio.sleep(min(_FIRST_BACKOFF * 2 ** (failures - 1), _LONGEST_BACKOFF))

    async def _run_once(self) -> str:
        process = self._process = await self._launch()
        try:
            async with asyncio.timeout(_READY_WITHIN):
                # Neither server tells when it is ready; pg_ctl asks in the same way.
                while process.returncode is None and not await self.server.ready(process.pid):  # noqa: ASYNC110
                    await asyncio.sleep(_READY_CHECKED_EVERY)
        except TimeoutError:
            await self.stop()
            raise self._failed(f"does not answer within {_READY_WITHIN:.0f} seconds") from None
        if process.returncode is None:
            self.pid, self.reached = process.pid, True
            self._changed()
        status = await process.wait()
        if self.pid is not None:
            self.pid = None
            self._changed()
        return f"ended with status {status}"

    async def _launch(self) -> Process:
        account = self._account
        with self._folder.log(self.server.name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", launcher.__file__,
                str(os.getpid()), str(int(self.server.stop_signal)),
                str(account.uid if account else -1), str(account.gid if account else -1),
                *self.server.command(),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env=plain_environment(), start_new_session=True,
            )  # fmt: skip
        self._folder.write("processes", **{self.server.name: self._mark(process.pid)})
        return process

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number, seconds in (
            (self.server.stop_signal, self.server.patience),
            (signal.SIGKILL, _KILLED_WITHIN),
        ):
            process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                continue
            return

    def _stop_leftover(self) -> None:
        """End a server that a killed keeper left behind, if it is still the process that was recorded."""
        left = self._folder.read("processes").get(self.server.name)
        if left and left["begun"] is not None and left == self._mark(left["pid"]):
            processes.stop(left["pid"], left["begun"], self.server.stop_signal, self.server.patience)

    def _mark(self, pid: int) -> dict[str, object]:
        # The folder's own number is in it, lest the record in a copy of the folder costs the original its
        # servers.
        return {"pid": pid, "begun": processes.begun(pid), "folder": self._folder.number}

    def _failed(self, why: str) -> EmbeddedFailed:
        log = self._folder.log(self.server.name)
        return EmbeddedFailed(
            f"The embedded server {self.server.name} was expected to run, and {why}. The end of {log}:\n"
            f"{tail(log)}\nMend what it complains of and start again, or set AMENDS_DATABASE_URL and "
            "AMENDS_NATS_URL to servers of your own."
        )


def plain_environment() -> dict[str, str]:
    """The environment of the servers: nothing of the user's, whose PG… and locale settings would change
    them.
    """
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(there is no log)"


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
