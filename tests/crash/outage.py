"""What a system under test is: the order saga, its services, their books, all on servers of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

from amends import Client, Settings
from amends.domain.history import verify
from amends.examples.order.books import SERVICES, balance, prepare
from amends.examples.order.messages import OrderPlaced
from amends.examples.order.saga import Order
from amends.examples.order.services import inventory, notifications, payments, shipping
from amends.infrastructure.embedded import Servers
from amends.infrastructure.embedded.folder import Folder
from amends.infrastructure.postgres.store import PostgresStore

FINAL = ("completed", "compensated")


def orders(count: int, first: int = 0) -> list[OrderPlaced]:
    """So many, numbered from `first` on. One in five cannot be shipped, and is undone."""
    return [
        OrderPlaced(
            order_id=f"o-{n:04}",
            customer=f"good-{n}",
            sku="lamp",
            quantity=1,
            total=Decimal("9.90"),
            country="Norway" if n % 5 else "Atlantis",
        )
        for n in range(first, first + count)
    ]


class Town:
    """The running services, and what became of their orders."""

    def __init__(
        self, settings: Settings, servers: Servers, store: PostgresStore, urls: dict[str, str]
    ) -> None:
        self.settings = settings
        self.servers = servers
        self.store = store
        self.urls = urls
        self.placed: list[OrderPlaced] = []

    async def place(self, count: int) -> None:
        """Start so many more orders, and wait until they are with the broker."""
        more = orders(count, len(self.placed))
        self.placed += more
        async with Client(self.settings) as client:
            await asyncio.gather(*(client.start(Order, order) for order in more))

    async def statuses(self) -> dict[str, str]:
        return {row.key: row.status for row in await self.store.saga_rows(saga="order", limit=10_000)}

    async def until(self, condition: Callable[[dict[str, str]], bool], seconds: float = 60) -> dict[str, str]:
        async with asyncio.timeout(seconds):
            while not condition(found := await self.statuses()):  # noqa: ASYNC110 - the store does not signal
                await asyncio.sleep(0.02)
        return found

    async def settled(self, seconds: float = 60) -> dict[str, str]:
        return await self.until(
            lambda s: len(s) == len(self.placed) and all(status in FINAL for status in s.values()), seconds
        )

    def kill_nats_with_its_store(self) -> None:
        """Its store is moved away first: a dying server still writes, and the next one starts soon."""
        store = self.servers.folder.nats_store
        store.rename(store.with_name("lost"))
        kill(self.servers.nats_pid)

    async def servers_are_back(self, before: tuple[int | None, int | None]) -> None:
        """Returns when PostgreSQL and NATS, which had these process ids, run again."""
        async with asyncio.timeout(30):
            while not all(now and now != was for now, was in zip(self._pids(), before, strict=True)):  # noqa: ASYNC110 - the servers do not signal
                await asyncio.sleep(0.02)

    def _pids(self) -> tuple[int | None, int | None]:
        return self.servers.postgres_pid, self.servers.nats_pid

    async def check(self) -> None:
        """All orders are over, as they should be; the books balance; every history is whole."""
        statuses = await self.settled()
        for order in self.placed:
            expected = "compensated" if order.country == "Atlantis" else "completed"
            assert statuses[order.order_id] == expected, order.order_id
        wrong = [line for line in await balance(self.urls, self.placed, statuses) if not line.holds]
        assert not wrong
        for row in await self.store.saga_rows(saga="order", limit=10_000):
            verify(await self.store.history(row.saga_id))


@asynccontextmanager
async def services(settings: Settings) -> AsyncIterator[None]:
    """The four services, in this process."""
    async with AsyncExitStack() as stack:
        for service in (inventory, payments, shipping, notifications):
            await stack.enter_async_context(service.running(settings))
        yield


@asynccontextmanager
async def town(folder: Path, *, staffed: bool = True) -> AsyncIterator[Town]:
    """Servers of the test's own; `staffed`: and the four services."""
    settings = Settings(data_dir=folder, batch_size=20)
    async with AsyncExitStack() as stack:
        stack.callback(Folder(folder).delete)  # part of it may lie elsewhere, where pytest does not clean up
        servers = await stack.enter_async_context(Servers(settings))
        urls = {name: await servers.participant_database(name) for name in SERVICES}
        await prepare(urls, {"lamp": 100_000})
        if staffed:
            await stack.enter_async_context(services(settings))
        store = await stack.enter_async_context(PostgresStore.open(servers.database_url, settings.namespace))
        yield Town(settings, servers, store, urls)


async def worker_process(
    town: Town, label: str = "", count: int = 0, *how: str
) -> asyncio.subprocess.Process:
    """A worker as a program of its own, which kills itself at the `count`-th time that it passes `label`."""
    return await _program(town, "tests.crash.worker", label, str(count), *how)


async def timers_process(town: Town) -> asyncio.subprocess.Process:
    """A worker as a program of its own, whose sagas have timers of every kind."""
    return await _program(town, "tests.crash.timers")


async def services_process(town: Town) -> asyncio.subprocess.Process:
    """The four services as a program of their own."""
    return await _program(town, "amends", "participant", "amends.examples.order")


async def _program(town: Town, module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "AMENDS_DATA_DIR": str(town.settings.data_dir), "AMENDS_BATCH_SIZE": "20"},
        stdout=asyncio.subprocess.PIPE,
    )


async def ready(process: asyncio.subprocess.Process) -> None:
    """Returns when the program takes messages."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while not (line := await process.stdout.readline()).startswith(b"ready"):
            assert line, "the program ended"


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
