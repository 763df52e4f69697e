"""Commits without a thread, whose way there and back costs as much as a small commit, and which the event loop would
then share the interpreter with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Self, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.abc import PQGen

from amends.infrastructure.postgres.application import SagaApplication
from amends.infrastructure.postgres.attentive import AttentiveConnection
from amends.infrastructure.postgres.batch import Batch
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.patience import to_its_end

T = TypeVar("T")

_AT_ONCE: Final = 2
"""As many as an engine has batches under way."""

_FEW: Final = 4
"""Sagas. The answer to a commit of more does not come in a moment, and there is something else to be done meanwhile."""


class _Connection(AttentiveConnection):
    """Waits for an answer even where whoever asked was cancelled."""

    async def at_leisure(self, gen: PQGen[T], interval: float) -> T:
        """What `gen` returns, which the connection is not left without."""
        return await to_its_end(asyncio.ensure_future(super().at_leisure(gen, interval)))


class Direct:
    """Commits on the event loop what is one statement; its connections are made when they are needed."""

    def __init__(self, links: Sequence[Link], application: SagaApplication) -> None:
        self._idle = list(links)
        self._application = application

    @classmethod
    @asynccontextmanager
    async def open(cls, conninfo: str, application: SagaApplication) -> AsyncGenerator[Self]:
        """On connections of its own."""
        async with AsyncExitStack() as stack:
            links = [Link(conninfo, name="amends commits", kind=_Connection) for _ in range(_AT_ONCE)]
            for link in links:
                stack.push_async_exit(link)
            yield cls(links, application)

    def suits(self, batch: Batch) -> bool:
        """Whether it is one statement, and there is a connection for it now."""
        return bool(self._idle) and not batch.is_unusual

    async def commit(self, batch: Batch) -> frozenset[UUID]:
        """As `SagaApplication.commit`, again and again while the database is away. Raises psycopg's errors."""
        alone = len(self._idle) == _AT_ONCE
        few = alone and len(batch.commit.rows) <= _FEW

        async def attempt(connection: AsyncConnection) -> frozenset[UUID]:
            assert isinstance(connection, _Connection)
            connection.attentive = few
            return await self._application.commit_alone(batch, connection)

        link = self._idle.pop()
        try:
            return await link.run(attempt)
        finally:
            self._idle.append(link)
