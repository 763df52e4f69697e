"""Servers, databases and namespaces for every test that wants real ones."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from amends.infrastructure.core import CORE
from amends.infrastructure.embedded import Servers
from amends.infrastructure.settings import Settings

_PLENTY = 4 * 1024**3

# The same examples in every run, so that a failure is of the change that it comes with. New ones are searched
# for by `make properties`.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


def pytest_report_header() -> str:
    return f"core: {CORE}"


class DatabaseFrom(Protocol):
    """Clones a database from the template `template`, which `migrate` fills the first time, given its URL.

    `migrate` must have closed its connections when it returns: nobody can clone what somebody is connected
    to.
    """

    async def __call__(self, template: str, migrate: Callable[[str], Awaitable[None]]) -> str: ...


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a parallel run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def alone(shared_folder: Path) -> Iterator[None]:
    """No test of another process that asks for this runs meanwhile: for what has one name on the shared servers."""
    with (shared_folder / "alone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def servers(shared_folder: Path) -> Iterator[Servers]:
    """PostgreSQL and NATS, the same for all processes of a parallel run. The last one out deletes their
    data.
    """
    with (shared_folder / "users.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        opened = Servers(Settings(data_dir=_data_folder(shared_folder)))
        _run(opened.__aenter__())
        try:
            yield opened
        finally:
            _run(opened.__aexit__(None, None, None))
            if _last(users.fileno()):
                opened.folder.delete()


@pytest.fixture
def namespace() -> str:
    """A tenant that no other test uses."""
    return f"t{token_hex(6)}"


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[str]:
    """The URL of an empty database of the test's own."""
    url = await servers.database(f"test_{token_hex(6)}")
    yield url
    await _drop(servers, url)


@pytest.fixture
async def database_from(servers: Servers, shared_folder: Path) -> AsyncIterator[DatabaseFrom]:
    """Makes databases of the test's own out of a template: much faster than migrating each."""
    made: list[str] = []

    async def clone(template: str, migrate: Callable[[str], Awaitable[None]]) -> str:
        name = f"test_{token_hex(6)}"
        with _locked(shared_folder / f"{template}.lock"):
            await _make_template(servers, template, migrate)
            await _execute(
                servers,
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                ),
            )
        made.append(await servers.database(name))
        return made[-1]

    yield clone
    for url in made:
        await _drop(servers, url)


async def _make_template(servers: Servers, template: str, migrate: Callable[[str], Awaitable[None]]) -> None:
    async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
        cursor = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [template])
        if await cursor.fetchone() is not None:
            return
    unfinished = f"{template}_{token_hex(6)}"
    await migrate(await servers.database(unfinished))
    await _execute(
        servers,
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(unfinished), sql.Identifier(template)
        ),
    )


async def _drop(servers: Servers, url: str) -> None:
    name = sql.Identifier(urlsplit(url).path.removeprefix("/"))
    await _execute(servers, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def _execute(servers: Servers, statement: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(servers.database_url, autocommit=True) as connection:
        await connection.execute(statement)


def _data_folder(shared_folder: Path) -> Path:
    """In memory where there is plenty: a database consists of 300 files, and each test has one.

    The servers sync as ever, and a process that is killed loses no more than on a disk; only power failures
    differ.
    """
    memory = Path("/dev/shm")
    usable = memory.is_dir() and not os.statvfs(memory).f_flag & os.ST_NOEXEC
    if usable and shutil.disk_usage(memory).free > _PLENTY:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        return memory / f"amends-tests-{run}"
    return shared_folder / "servers"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _run(task: Coroutine[Any, Any, object]) -> None:
    """In a thread, so that neither the loop of a test nor its policy is touched."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, task).result()
