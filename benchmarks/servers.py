"""Servers of a benchmark's own, in a folder that is gone afterwards, whatever the environment names."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from amends import Settings
from amends.infrastructure.embedded import Servers


@asynccontextmanager
async def temporary(**chosen: Any) -> AsyncIterator[tuple[Settings, Servers]]:
    """Empty servers, for as long as the body runs; `chosen` are other settings."""
    with tempfile.TemporaryDirectory(prefix="amends-bench-") as name:
        settings = Settings(
            **{
                "data_dir": Path(name) / "data",
                "database_url": None,
                "nats_url": None,
                "participant_database_url": None,
                **chosen,
            }
        )
        servers = Servers(settings)
        try:
            async with servers:
                yield settings, servers
        finally:
            servers.folder.delete()  # part of it may lie elsewhere, where the servers' account can reach it


async def settled() -> None:
    """Returns when files that were removed are off the disk, which may stand still for a tenth of a second for that."""
    await asyncio.to_thread(os.sync)


async def drop(servers: Servers, databases: Iterable[str]) -> None:
    """Remove these databases, whoever is connected to them."""
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
        for name in databases:
            await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
