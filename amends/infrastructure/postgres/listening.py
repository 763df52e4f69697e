"""Being woken by PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

from psycopg import AsyncConnection, sql

from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.link import Link


@asynccontextmanager
async def listening(
    database_url: str, channel: str, heard: Callable[[], None], name: str
) -> AsyncGenerator[None]:
    """Beside the body, call `heard` at every notification, and whenever some may have been missed.

    Needs a connection to the server itself: a pooler that lends connections out for a transaction drops them.
    """
    task = asyncio.create_task(_listen(database_url, channel, heard, name))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(database_url: str, channel: str, heard: Callable[[], None], name: str) -> NoReturn:
    async def on(connection: AsyncConnection) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        heard()
        async for _ in connection.notifies():
            heard()

    async with Link(with_defaults(database_url), name=name) as link:
        while True:
            await link.run(on)
