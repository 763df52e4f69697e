"""The embedded NATS server."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable

from amends.infrastructure.embedded import programs
from amends.infrastructure.embedded.account import Account
from amends.infrastructure.embedded.folder import Folder

_HOST = "127.0.0.1"
_ANSWERS_WITHIN = 1.0

# Below what systems hand out to outgoing connections. From there, a client that tries again and again to
# reach a stopped server could be given the server's own port, connect to itself, and keep the server from
# coming back.
_PORTS = range(20_000, 30_000)

_CONFIG = """\
# Written by Amends at every start; changes are lost.
listen: "{host}:{port}"
server_name: "{server}"
authorization {{ user: "amends", password: "{password}" }}
jetstream {{
  store_dir: {store}
  sync_interval: "{sync_interval}"
}}
"""


class NatsServer:
    """NATS with JetStream on a loopback port, which the folder keeps, and for whoever has the folder's
    password.
    """

    name = "nats"
    stop_signal = signal.SIGTERM
    patience = 20.0

    def __init__(
        self, folder: Folder, account: Account | None, sync_interval: str, progress: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._account = account
        self._sync_interval = sync_interval
        self._progress = progress
        self._program: programs.Program | None = None
        self._started = False

    @property
    def _binary(self) -> programs.Program:
        if self._program is None:
            self._program = programs.within_reach(programs.nats(), self._account, self._folder.home)
        return self._program

    async def prepare(self) -> None:
        store = self._folder.nats_store
        store.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            os.chown(store, self._account.uid, self._account.gid)
        self._choose_port()
        self._write_config()
        self._progress("starting NATS")

    def _choose_port(self) -> None:
        """Once for the folder. Chosen anew only if somebody else has it before our clients know it."""
        port = self._folder.read("nats").get("port")
        if port is None or (not self._started and not _is_free(port)):
            self._folder.write("nats", port=_free_port())
        if "password" not in self._folder.read("nats"):
            self._folder.write(
                "nats", password=secrets.token_hex(16), server=f"amends-{secrets.token_hex(8)}"
            )
        self._started = True

    def _write_config(self) -> None:
        known = self._folder.read("nats")
        config = self._folder.home / "nats.conf"
        config.unlink(missing_ok=True)
        with os.fdopen(os.open(config, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            store = json.dumps(str(self._folder.nats_store))
            file.write(_CONFIG.format(host=_HOST, store=store, sync_interval=self._sync_interval, **known))
        if self._account:
            os.chown(config, self._account.uid, self._account.gid)

    def command(self) -> list[str]:
        return [str(self._binary.path), "--config", str(self._folder.home / "nats.conf")]

    async def ready(self, pid: int) -> bool:
        """Whether our server, and not another one on its port, greets with JetStream."""
        known = self._folder.read("nats")
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                reader, writer = await asyncio.open_connection(_HOST, known["port"])
                try:
                    greeting = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        info = json.loads(greeting.removeprefix(b"INFO ") or b"{}") if greeting.startswith(b"INFO ") else {}
        return bool(info.get("jetstream")) and info.get("server_name") == known["server"]

    def url(self) -> str:
        known = self._folder.read("nats")
        return f"nats://amends:{known['password']}@{_HOST}:{known['port']}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    return next(port for port in iter(lambda: secrets.choice(_PORTS), None) if _is_free(port))
