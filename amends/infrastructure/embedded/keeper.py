"""The keeper: one process for each data folder, parent of its servers.

    python -m amends.infrastructure.embedded.keeper DATA_DIR

A client is a connection to the keeper's socket. It sends one line, what it needs; it gets lines back:
progress, then where the servers are, again at every change. The system closes the connection however the
client ends. When the last one is gone the keeper stops the servers and ends. Beside asyncio it needs the
standard library alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Any

from amends.infrastructure.embedded.account import Account, server_account
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.embedded.nats_server import NatsServer
from amends.infrastructure.embedded.postgres_server import PostgresServer
from amends.infrastructure.embedded.server import Kept, Server
from amends.infrastructure.errors import EmbeddedFailed, EmbeddedUnavailable

LISTENING = "listening\n"

_FIRST_CLIENT_WITHIN = 10.0
_LINGER = 1.0
_ASKS_WITHIN = 10.0


class Keeper:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._account: Account | None = None
        self._kept: dict[str, Kept] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._clients: dict[StreamWriter, list[str]] = {}
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_call: asyncio.TimerHandle | None = None
        self._failure: dict[str, str] | None = None
        self._said: str | None = None
        self._sync_interval: str | None = None

    async def run(self) -> None:
        """Serve until the last client is gone, a signal comes, or a server does not stay up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._finish)
        try:
            self._account = server_account()
            self._folder.settle(self._account)
        except EmbeddedUnavailable as error:
            self._fail(error)
        path = self._folder.keeper_socket
        path.unlink(missing_ok=True)
        listener = await asyncio.start_unix_server(self._serve, path)
        path.chmod(0o600)
        self._arm(_FIRST_CLIENT_WITHIN)
        print(LISTENING, end="", flush=True)  # noqa: T201 - the client that started us waits for this line
        try:
            await self._done
        finally:
            # A client that comes from here on finds no socket, or an end of file, and starts another keeper.
            listener.close()
            path.unlink(missing_ok=True)
            await self._stop()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._last_call = asyncio.get_running_loop().call_later(seconds, self._finish)

    def _disarm(self) -> None:
        if self._last_call:
            self._last_call.cancel()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ASKS_WITHIN):
                wish = json.loads(await reader.readline() or b"null")
            if wish and not self._done.done():
                self._disarm()
                self._welcome(writer, wish)
                await reader.read()  # it says no more; this returns when it is gone
        except (ConnectionError, TimeoutError):
            pass  # gone, or not a client of ours: either way there is nobody to answer
        finally:
            self._clients.pop(writer, None)
            writer.close()
            if not self._clients:
                self._arm(_LINGER)

    def _welcome(self, writer: StreamWriter, wish: dict[str, Any]) -> None:
        self._clients[writer] = wish["needs"]
        if self._failure:
            _send(writer, self._failure)
            return
        for name in wish["needs"]:
            if name not in self._kept:
                self._keep(self._server(name, wish))
        if "nats" in wish["needs"] and wish["sync_interval"] != self._sync_interval:
            note = f"NATS runs with the sync interval of its first client, {self._sync_interval}"
            _send(writer, {"progress": note})
        if self._said and not self._answers(writer):
            _send(writer, {"progress": self._said})
        self._tell(writer)

    def _server(self, name: str, wish: dict[str, Any]) -> Server:
        if name == "postgres":
            return PostgresServer(self._folder, self._account, self._say)
        self._sync_interval = wish["sync_interval"]
        return NatsServer(self._folder, self._account, wish["sync_interval"], self._say)

    def _keep(self, server: Server) -> None:
        kept = self._kept[server.name] = Kept(server, self._folder, self._account, self._tell_all)
        task = self._tasks[server.name] = asyncio.create_task(kept.keep())
        task.add_done_callback(self._given_up)

    def _given_up(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Tell everyone, and end once they have left: whoever comes then tries afresh."""
        kind = type(error) if isinstance(error, EmbeddedFailed | EmbeddedUnavailable) else EmbeddedFailed
        text = (
            str(error) if isinstance(error, kind) else f"The keeper of {self._folder.path} failed: {error!r}"
        )
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the keeper's log
        self._failure = {"failed": text, "kind": kind.__name__}
        for writer in self._clients:
            _send(writer, self._failure)

    def _say(self, progress: str) -> None:
        self._said = progress
        for writer in self._clients:
            _send(writer, {"progress": progress})

    def _tell_all(self) -> None:
        for writer in self._clients:
            self._tell(writer)

    def _tell(self, writer: StreamWriter) -> None:
        """Where the servers are that the client needs; silent until each of them has answered once."""
        if self._answers(writer):
            kept = {name: self._kept[name] for name in self._clients[writer]}
            found = {name: {"url": one.server.url(), "pid": one.pid} for name, one in kept.items()}
            _send(writer, {"servers": found})

    def _answers(self, writer: StreamWriter) -> bool:
        return all(self._kept[name].reached for name in self._clients[writer])

    async def _stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*(kept.stop() for kept in self._kept.values()))


def _send(writer: StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


async def _run(folder: Folder) -> None:
    await Keeper(folder).run()


def main() -> None:
    os.umask(0o077)
    folder = Folder(Path(sys.argv[1]))
    with folder.locked("keeper"):
        asyncio.run(_run(folder))


if __name__ == "__main__":
    main()
