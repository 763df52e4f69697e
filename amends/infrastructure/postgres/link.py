"""A connection to PostgreSQL that comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, IsolationLevel

T = TypeVar("T")

_LOG: Final = logging.getLogger("amends.postgres")
_LONGEST_PAUSE: Final = 5.0

_PASSING: Final = frozenset(
    {
        "25006",  # read-only
        "25P03",  # idle in a transaction for too long
        "57014",  # cancelled, by a person or a time limit
        "57P01",  # shut down by an administrator
        "57P02",  # shut down by a crash
        "57P03",  # cannot connect now
        "57P05",  # idle for too long
    }
)


def is_transient(error: BaseException) -> bool:
    """Whether the transaction may succeed when tried again: the server was away, chose it as a victim, was told to
    cancel it, or takes no writes, as one that a failover has left behind.
    """
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state[:2] in {"08", "40", "53"} or state in _PASSING


class Link:
    """One connection in autocommit mode, made again when it breaks. Tasks that share it take turns.

    `durable=False` asks for asynchronous commits: for writes whose loss is harmless.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        name: str,
        durable: bool = True,
        kind: type[AsyncConnection] = AsyncConnection,
    ) -> None:
        self._conninfo = conninfo
        self._name = name
        self._durable = durable
        self._kind = kind
        self._connection: AsyncConnection | None = None
        self._failures = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connect; here a failure is raised, later ones are waited out."""
        self._connection = await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` returns; it is tried again for as long as errors are transient, so it may run twice."""
        while True:
            async with self._turn:
                connection = await self.get()
                try:
                    done = await work(connection)
                except Exception as error:
                    if not (connection.closed or connection.broken or is_transient(error)):
                        raise
                    await self.failed(error)
                else:
                    self._failures = 0
                    return done

    async def get(self) -> AsyncConnection:
        """The connection; after a failure, a new one once the server is back, however long that takes."""
        while self._connection is None or self._connection.closed or self._connection.broken:
            await self._drop()
            await asyncio.sleep(min(0.05 * 2**self._failures, _LONGEST_PAUSE) if self._failures else 0)
            try:
                self._connection = await self._connect()
            except psycopg.OperationalError as error:
                self._failures = min(self._failures + 1, 16)
                _LOG.warning("%s: PostgreSQL cannot be reached, trying again: %s", self._name, error)
        return self._connection

    async def failed(self, error: Exception) -> None:
        """Tell that work failed. Drops the connection unless only a transaction was the victim."""
        _LOG.warning("%s: the transaction is tried again: %s", self._name, error)
        if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith("40"):
            return
        self._failures = min(self._failures + 1, 16)
        await self._drop()

    async def _connect(self) -> AsyncConnection:
        connection = await self._kind.connect(self._conninfo, autocommit=True, application_name=self._name)
        if not self._durable:
            await connection.execute("SET synchronous_commit TO off")
        # The locks and the snapshots of the participant and of the outbox are thought out for this level.
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        return connection

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
