"""nats-py's client, mended where it would give up, leak or deceive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from nats import errors
from nats.aio.client import Client as NatsClient
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from amends.infrastructure.nats.reader import Reader, Taker


class Client(NatsClient):
    """Comes back from every error of an established connection, and never talks in clear to a `tls` URL."""

    def __init__(self) -> None:
        super().__init__()
        self._ps: Reader = Reader(self)

    async def _process_err(self, err_msg: str) -> None:
        """The original closes the client for good, also when the server only ends this connection."""
        error = errors.Error(f"nats: {err_msg.strip(chr(39))}")
        if "permissions violation" in err_msg.lower():
            await self._error_cb(error)
        else:
            await self._process_op_err(error)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        if initial_connection and server and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise errors.Error("nats: the URL asks for TLS and the server does not offer it")
        await super()._process_info(info, initial_connection=initial_connection)

    async def take(self, subject: str, taker: Taker) -> Subscription:
        """As `subscribe`, but each message is given to the taker while it is read; nothing else is read meanwhile."""
        subscription = await self.subscribe(subject)
        self._ps.takers[subscription._id] = taker
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._ps.takers.pop(sid, None)

    async def post(self, frames: Sequence[bytes]) -> None:
        """Send these, each a whole command of the protocol, which was made and checked by the caller."""
        if self.is_closed:
            raise errors.ConnectionClosedError
        if not self.is_connected:
            raise errors.OutboundBufferLimitError
        if not self._pending and (idle := self._idle()):
            idle.writelines(list(frames))  # type: ignore[no-untyped-call]  # sooner than by the task that flushes
            return
        self._pending += frames
        self._pending_data_size += sum(map(len, frames))
        is_full = 0 < self._max_pending_size < self._pending_data_size
        if is_full or (self._flush_queue is not None and self._flush_queue.empty()):
            await self._flush_pending(force_flush=is_full)

    def _idle(self) -> TcpTransport | None:
        """The connection where it has written all that it was given, so that nobody needs to wait for it."""
        transport = self._transport
        if not isinstance(transport, TcpTransport) or transport._io_writer is None:
            return None
        socket = transport._io_writer.transport
        return None if socket.is_closing() or socket.get_write_buffer_size() else transport

    def forget_pending(self) -> None:
        """Drop what was written for a connection that is gone.

        Acknowledgements name a place in a stream: sent to a server that came back with an empty store, they
        would acknowledge other messages. Whatever else is in there is sent again by those who wait for its
        answer.
        """
        self._pending.clear()
        self._pending_data_size = 0


def split_credentials(url: str) -> tuple[list[str], dict[str, str]]:
    """The servers of a URL list, and the credentials in it, decoded, for servers found later as well.

    Where the URLs have different credentials they are left to nats-py, each for its own server.
    """
    servers = [each.strip() for each in url.split(",") if each.strip()]
    found = {(part.username, part.password) for part in map(urlsplit, servers)}
    if len(found) != 1:
        return servers, {}
    [(user, password)] = found
    if user is None:
        return servers, {}
    if password is None:
        return servers, {"token": unquote(user)}
    return servers, {"user": unquote(user), "password": unquote(password)}


def without_credentials(url: str) -> str:
    """The URLs as they may be shown."""
    return ", ".join(
        part._replace(netloc=part.netloc.rpartition("@")[2]).geturl()
        for part in map(urlsplit, url.split(","))
    )
