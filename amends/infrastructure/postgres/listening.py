"""Being woken by PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from psycopg import AsyncConnection, sql

from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.link import Link


async def listen(database_url: str, channel: str, heard: Callable[[], None], name: str) -> NoReturn:
    """Call `heard` at every notification, and whenever some may have been missed. Never returns.

    Needs a connection to the server itself: a pooler that lends connections out for a transaction drops them.
    """

    async def on(connection: AsyncConnection) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        heard()
        async for _ in connection.notifies():
            heard()

    async with Link(with_defaults(database_url), name=name) as link:
        while True:
            await link.run(on)
