"""A small commit without a thread: at light load the way to one and back costs as much as the commit itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Self, TypeVar
from uuid import UUID

from psycopg.abc import PQGen

from amends.infrastructure.postgres.application import SagaApplication
from amends.infrastructure.postgres.attentive import AttentiveConnection
from amends.infrastructure.postgres.batch import Batch
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.patience import to_its_end

T = TypeVar("T")

_FEW: Final = 4
"""Sagas. More take long enough for a thread to be worth its while, and for the next batch to be decided beside it."""


class _Connection(AttentiveConnection):
    """Looks at its socket for a moment, and waits for an answer even where whoever asked was cancelled."""

    attentive = True

    async def at_leisure(self, gen: PQGen[T], interval: float) -> T:
        """What `gen` returns, which the connection is not left without."""
        return await to_its_end(asyncio.ensure_future(super().at_leisure(gen, interval)))


class Direct:
    """Commits on the event loop, one at a time, what is one small statement."""

    def __init__(self, link: Link, application: SagaApplication) -> None:
        self._link = link
        self._application = application

    @classmethod
    @asynccontextmanager
    async def open(cls, conninfo: str, application: SagaApplication) -> AsyncGenerator[Self]:
        """On a connection of its own."""
        async with Link(conninfo, name="amends commits", kind=_Connection) as link:
            yield cls(link, application)

    def suits(self, batch: Batch) -> bool:
        """Whether it is small, and one statement."""
        return len(batch.commit.rows) <= _FEW and not batch.is_unusual

    async def commit(self, batch: Batch) -> frozenset[UUID]:
        """As `SagaApplication.commit`, again and again while the database is away. Raises psycopg's errors."""
        return await self._link.run(partial(self._application.commit_alone, batch))
