"""A migrated database of the test's own, stores on it, and a way between them that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeAlias

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from amends.infrastructure.postgres.store import PostgresStore, migrate_store
from tests.conftest import DatabaseFrom

NAMESPACE: Final = "test"

Opener: TypeAlias = Callable[[str], Awaitable[PostgresStore]]


@pytest.fixture
async def store_database(database_from: DatabaseFrom) -> str:
    return await database_from("store", lambda url: migrate_store(url, NAMESPACE))


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        async def open_store(url: str) -> PostgresStore:
            return await stack.enter_async_context(PostgresStore.open(url, NAMESPACE))

        yield open_store


@pytest.fixture
async def store(store_database: str, opened: Opener) -> PostgresStore:
    return await opened(store_database)


@pytest.fixture
async def admin(store_database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection beside the store's, for looking and for getting in its way."""
    async with await psycopg.AsyncConnection.connect(store_database, autocommit=True) as connection:
        await connection.execute("SET search_path TO test")
        yield connection


class Wire:
    """Passes bytes between clients and the server, until it is cut."""

    def __init__(self, database_url: str, folder: Path) -> None:
        target = conninfo_to_dict(database_url)
        self._target = f"{target['host']}/.s.PGSQL.{target.get('port', 5432)}"
        self._path = folder / ".s.PGSQL.5432"
        self.url = make_conninfo(database_url, host=str(folder), port=5432)
        self.cut_at = b""  # break when the server answers what had these bytes in it
        self.cuts = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self._path)

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        assert self._server is not None
        self._server.close()
        self._path.unlink()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, back}
        committing = asyncio.Event()
        for source, sink, forth in ((reader, back, True), (there, writer, False)):
            task = asyncio.create_task(self._pass(source, sink, committing, forth=forth))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        committing: asyncio.Event,
        *,
        forth: bool,
    ) -> None:
        try:
            while data := await source.read(65536):
                if forth and self.cut_at and self.cut_at in data:
                    self.cut_at = b""
                    committing.set()
                elif not forth and committing.is_set():
                    self.cuts += 1  # it has committed; nobody hears of it
                    break
                sink.write(data)
        finally:
            sink.close()


@pytest.fixture
async def wire(store_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wire]:
    made = Wire(store_database, tmp_path_factory.mktemp("w"))
    await made.connect()
    yield made
    await made.cut()
