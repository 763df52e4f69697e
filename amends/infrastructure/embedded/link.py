"""A client's connection to the keeper of a data folder. Made of threads, so that it serves sync and async
programs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from typing import Any, BinaryIO

import amends
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.embedded.keeper import LISTENING
from amends.infrastructure.embedded.server import tail
from amends.infrastructure.errors import EmbeddedFailed, EmbeddedUnavailable

_FAILURES = {one.__name__: one for one in (EmbeddedFailed, EmbeddedUnavailable)}
_MOST_LOST_KEEPERS = 5
_STABLE_AFTER = 10.0
_TIDY_WITHIN = 1.0


class LinkClosed(EmbeddedFailed):
    """The link was closed while it was being opened."""


class KeeperLink:
    """Keeps the servers of a folder alive for as long as it is open.

    When the keeper dies, the link starts another. `failed` gets an exception when that, or the servers, are
    given up.
    """

    def __init__(
        self, folder: Folder, needs: list[str], sync_interval: str, on_progress: Callable[[str], None] | None
    ) -> None:
        self.servers: dict[str, dict[str, Any]] = {}
        self.failed: Future[None] = Future()
        self._folder = folder
        self._wish = json.dumps({"needs": needs, "sync_interval": sync_interval}).encode() + b"\n"
        self._on_progress = on_progress
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._thread: Thread | None = None
        self._closed = Event()

    def open(self) -> None:
        """Connect, starting a keeper where there is none; return when all servers answer.

        Raises EmbeddedUnavailable and EmbeddedFailed, also to say that the link was closed meanwhile.
        """
        try:
            lines = self._connected()
        except BaseException:
            self.close()
            raise
        self._thread = Thread(target=self._watch, args=(lines,), name="amends-keeper-link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of the servers. Those of the last link are stopped, soon after."""
        with self._lock:
            self._closed.set()
            if self._socket:
                _hang_up(self._socket)
        if self._thread and self._thread is not current_thread():
            self._thread.join(_TIDY_WITHIN)

    def _connected(self) -> BinaryIO:
        for _ in range(_MOST_LOST_KEEPERS):
            lines = self._connect()
            try:
                if self._hear_of_servers(lines):
                    return lines
            except BaseException:
                lines.close()
                raise
            lines.close()
            self._check_open()
        raise EmbeddedFailed(self._lost())

    def _hear_of_servers(self, lines: BinaryIO) -> bool:
        """False: the keeper went away first. It may have been about to end when we came."""
        return any(self._heed(line) for line in _until_end(lines))

    def _connect(self) -> BinaryIO:
        # One at a time, so that several commands which start together start one keeper.
        with self._folder.locked("start"):
            self._check_open()
            connection = self._try_connect()
            if connection is None:
                self._start_keeper()
                connection = self._try_connect()
        if connection is None:
            raise EmbeddedFailed(self._lost())
        lines = connection.makefile("rb")
        connection.close()  # from now on it is closed with the file
        with self._lock:
            self._socket = connection
            if self._closed.is_set():
                _hang_up(connection)
        return lines

    def _try_connect(self) -> socket.socket | None:
        path = self._folder.keeper_socket
        if not path.exists():
            return None
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            connection.sendall(self._wish)
        except (FileNotFoundError, ConnectionError):
            connection.close()
            return None
        return connection

    def _start_keeper(self) -> None:
        """Start one and wait until it listens: the first one may still be stopping its servers."""
        environment = os.environ | {"PYTHONPATH": _import_path()}
        with self._folder.log("keeper").open("ab") as log:
            keeper = subprocess.Popen(  # noqa: S603 - its arguments are our own
                [sys.executable, "-P", "-m", "amends.infrastructure.embedded.keeper", str(self._folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        assert keeper.stdout is not None
        with keeper.stdout:
            listening = keeper.stdout.readline().decode() == LISTENING
        # Reaps the keeper, should it end before us.
        Thread(target=keeper.wait, name="amends-keeper-reaper", daemon=True).start()
        if not listening:
            raise EmbeddedFailed(self._lost())

    def _watch(self, lines: BinaryIO) -> None:
        lost = 0
        while True:
            since = time.monotonic()
            try:
                with lines:
                    for line in _until_end(lines):
                        self._heed(line)
                if self._closed.is_set():
                    return
                lost = 1 if time.monotonic() - since > _STABLE_AFTER else lost + 1
                if lost >= _MOST_LOST_KEEPERS:
                    raise EmbeddedFailed(self._lost())  # noqa: TRY301 - ends as the failures of _heed do
                lines = self._connected()
            except LinkClosed:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                self.failed.set_exception(error)
                self.close()
                return

    def _heed(self, line: bytes) -> bool:
        """Take in what the keeper says; whether that was where the servers are."""
        message = json.loads(line)
        if "failed" in message:
            raise _FAILURES[message["kind"]](message["failed"])
        if "servers" in message:
            self.servers = message["servers"]
        elif self._on_progress:
            self._on_progress(message["progress"])
        return "servers" in message

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise LinkClosed("The embedded servers were let go of while they were being started.")

    def _lost(self) -> str:
        log = self._folder.log("keeper")
        return (
            f"The keeper of {self._folder.path} was expected to run, and ends again and again. The end of "
            f"{log}:\n"
            f"{tail(log)}\nMend what it complains of, or set AMENDS_DATABASE_URL and AMENDS_NATS_URL to "
            "servers of "
            "your own."
        )


def _until_end(lines: BinaryIO) -> Iterator[bytes]:
    with suppress(ConnectionError):  # how it shows that a keeper was killed before it had read what we wrote
        while line := lines.readline():
            yield line


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the keeper hung up first
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it, as close would not


def _import_path() -> str:
    """Where the keeper finds this very package, and no other of its name in the working directory."""
    package = str(Path(amends.__path__[0]).parent)
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([package, inherited] if inherited else [package])
