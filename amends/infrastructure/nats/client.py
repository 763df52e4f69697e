"""nats-py's client, mended where it would give up, leak or deceive."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from nats import errors
from nats.aio.client import Client as NatsClient


class Client(NatsClient):
    """Comes back from every error of an established connection, and never talks in clear to a `tls` URL."""

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

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Four times as quick as the original, with the same outcome for what is well formed."""
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                headers[name] = value.strip()
        return headers

    async def post(self, subject: str, reply: str, headers: bytes, body: bytes) -> None:
        """As `publish`, with a header block that is ready, checked by whoever made it."""
        if self.is_closed:
            raise errors.ConnectionClosedError
        if not self.is_connected:
            raise errors.OutboundBufferLimitError
        frame = f"HPUB {subject} {reply} {len(headers)} {len(headers) + len(body)}\r\n".encode()
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += len(body)
        await self._send_command(b"".join((frame, headers, body, b"\r\n")))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

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
