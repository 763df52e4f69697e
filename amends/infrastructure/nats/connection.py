"""A connection to NATS that comes back for ever, and what can be had of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self
from zlib import crc32

from nats import errors
from nats.aio.client import Server

from amends.infrastructure.broker import (
    BrokerClosed,
    BrokerUnreachable,
    ConsumerSpec,
    Intact,
    Lost,
    Mark,
    StreamSpec,
)
from amends.infrastructure.nats import configure, marks
from amends.infrastructure.nats.api import Api, ApiError
from amends.infrastructure.nats.client import Client, split_credentials, without_credentials
from amends.infrastructure.nats.inbox import JetStreamInbox
from amends.infrastructure.nats.marks import Seen
from amends.infrastructure.nats.publisher import JetStreamPublisher

_LOG: Final = logging.getLogger("amends.nats")
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_PING_EVERY: Final = 10
_UNWRITTEN_BYTES: Final = 64 * 1024 * 1024


class Connection:
    """One connection's life; `broken` is done when it has ended."""

    def __init__(self) -> None:
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        if not self.broken.done():
            self.broken.set_result(None)


class Signal:
    """Something that happens again and again. Listeners are called at once and must not block."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call this each time; calling the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def __call__(self) -> None:
        for listener in list(self._listeners):
            listener()


class Broker:
    """NATS with JetStream. Once connected it comes back from every failure, however long that takes.

    `url` may name several servers, with commas between, and hold credentials. `connect_within` is how long,
    in seconds, the first connection may take. `options` go to nats-py's `connect`, for what a URL cannot say
    (`tls`, `user_credentials`, ...).

    Signals: `changed`, when the connection broke or is back, and after `ensure`; `reconnected`; and
    `consumer_gone`, when an inbox finds that its consumer does not exist, or is not the one that it was.

    Raises BrokerUnreachable on entering.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "amends",
        namespace: str = "amends",
        connect_within: float = 10.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.client = Client()
        self.api = Api(self)
        self.seen = Seen()
        self.changed = Signal()
        self.reconnected = Signal()
        self.consumer_gone = Signal()
        self._url = url
        self._shown = without_credentials(url)
        self._connect_within = connect_within
        self._options = dict(options or {})
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._last_error: BaseException | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._connect_within):
                await self._connect()
                await self.api.call("INFO")
        except (TimeoutError, errors.Error, OSError, ApiError) as error:
            await self._close()
            raise BrokerUnreachable(
                f"expected NATS with JetStream at {self._shown} within {self._connect_within:g} s; "
                f"{self._because(error)}. Start the server, enable JetStream there, "
                "or correct AMENDS_NATS_URL and the credentials in it"
            ) from error
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def is_up(self) -> bool:
        """Whether there is a connection at this moment, as far as is known."""
        return self._up.is_set() and self.client.is_connected

    async def connected(self) -> Connection:
        """The present connection, or the next one. Raises BrokerClosed."""
        while not self.is_up or self._connection is None:
            if self._closing:
                raise BrokerClosed(f"the connection {self.name} to NATS has been closed")
            self._up.clear()
            await self._up.wait()
        return self._connection

    async def ensure(
        self,
        streams: Sequence[StreamSpec],
        consumers: Sequence[ConsumerSpec],
        begin: Mapping[str, int] | None = None,
    ) -> dict[str, int]:
        """Create what is missing, and check what is there. Safe when several processes do it at once.

        `begin` maps `ConsumerSpec.place` to the sequence that the consumer starts with if it has to be
        created, and one that was created to start later is created anew; without it `ConsumerSpec.deliver`
        counts. A consumer's filters may be extended.

        Returns up to which sequence all is acknowledged, by place. Raises ConfiguredOtherwise, and StreamMissing
        where the stream of a consumer is neither there nor among `streams`.
        """
        acknowledged = await configure.ensure(self.api, streams, consumers, begin or {})
        self.changed()
        return acknowledged

    async def inspect(self, stream: str, mark: Mark | None) -> Intact | Lost:
        """Compare a stream with what is remembered of it; None: nothing is."""
        return await marks.inspect(self.api, stream, mark)

    def inbox(self, consumers: Sequence[ConsumerSpec], *, buffer: int = 1000) -> JetStreamInbox:
        """Messages of these consumers. At most `buffer` of each wait here to be received."""
        return JetStreamInbox(self, consumers, buffer)

    def publisher(self, window: int = 1000, *, no_stream_within: float = 5.0) -> JetStreamPublisher:
        """A publisher with at most `window` messages that the broker has not yet acknowledged.

        A subject may have no stream for `no_stream_within` seconds before that counts as refused: after a
        loss the streams are created again within that time.
        """
        return JetStreamPublisher(self, window, no_stream_within)

    async def _connect(self) -> None:
        servers, credentials = split_credentials(self._url)
        await self.client.connect(
            **{
                "servers": servers,
                "name": self.name,
                "max_reconnect_attempts": -1,
                "reconnect_time_wait": _SHORTEST_PAUSE,
                "reconnect_to_server_handler": self._next_server,
                "ping_interval": _PING_EVERY,
                "pending_size": _UNWRITTEN_BYTES,
                "error_cb": self._failed,
                "disconnected_cb": self._disconnected,
                "reconnected_cb": self._reconnected,
                **credentials,
                **self._options,
            }
        )
        self._connection = Connection()
        self._up.set()

    def _next_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """The server that failed least, after a pause that grows and differs from client to client."""
        server = min(servers, key=lambda each: each.reconnects)
        tries = server.reconnects
        pause = min(_SHORTEST_PAUSE * 2 ** min(tries, 10), _LONGEST_PAUSE)
        return server, pause * (0.5 + crc32(f"{self.name}{id(self)}{tries}".encode()) / 2**33)

    async def _failed(self, error: Exception) -> None:
        self._last_error = error
        if self._up.is_set() and not self._closing:
            _LOG.warning("%s: NATS: %s", self.name, str(error) or type(error).__name__)

    async def _disconnected(self) -> None:
        if self._connection is None:
            return
        if not self._closing:
            _LOG.warning("%s: lost the connection to NATS at %s, trying again", self.name, self._shown)
        self._up.clear()
        self.client.forget_pending()
        self.seen.doubt()
        self._connection.end()
        self.changed()

    async def _reconnected(self) -> None:
        _LOG.warning("%s: connected to NATS at %s again", self.name, self._shown)
        self._connection = Connection()
        self._up.set()
        self.changed()
        self.reconnected()

    async def _close(self) -> None:
        self._closing = True
        if self.client.is_connected or self.client.is_reconnecting or self.client.is_connecting:
            await self.client.close()
        if self._connection is not None:
            self._connection.end()
        self._up.set()  # whoever waits is told

    def _because(self, error: BaseException) -> str:
        cause = self._last_error if isinstance(error, TimeoutError) and self._last_error else error
        return str(cause) or type(cause).__name__
