"""A whole flash sale: everybody orders at once, and in the end the books are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from psycopg import AsyncConnection

from amends import Client, Settings, Worker
from amends.domain import events as e
from amends.domain.history import Recorded
from amends.examples.flash_sale.messages import SaleOrdered
from amends.examples.flash_sale.saga import INVENTORY, FlashSale
from amends.examples.flash_sale.services import inventory, payments
from amends.infrastructure.clock import SystemClock, fresh_name
from amends.infrastructure.embedded import Servers
from amends.infrastructure.postgres.migrate import migrate
from amends.infrastructure.postgres.store import PostgresStore

_FINAL: Final = frozenset({"completed", "compensated"})
_LOOK_EVERY: Final = 0.2
_MOST: Final = 1_000_000
_SERVICES: Final = {"sale_inventory": "inventory", "sale_payments": "payments"}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a sale.

    `statuses` counts the orders, `left_over`, `reserved` and `paid` are the services' books. `commands` is how many
    were sent for reservations in all, `at_once` how many of them were outstanding together at the most.
    """

    statuses: Mapping[str, int]
    delivered: int
    left_over: int
    reserved: Sequence[str]
    paid: Sequence[str]
    completed: Sequence[str]
    commands: int
    at_once: int

    @property
    def balances(self) -> bool:
        """Stock is conserved; who has paid has one, and nobody else has."""
        return self.left_over + len(self.reserved) == self.delivered and (
            self.reserved == self.paid == self.completed
        )


async def sale(
    settings: Settings, orders: int, stock: int, told: Callable[[Counter[str]], None] = lambda _: None
) -> Result:
    """Sell `stock` items to so many customers, of whom one in ten cannot pay; `told` hears how far it is."""
    name = fresh_name()[:6]
    placed = [_order(name, number) for number in range(orders)]
    async with (
        Servers(settings) as servers,
        PostgresStore.open(servers.database_url, settings.namespace) as store,
    ):
        urls = {each: await servers.participant_database(each) for each in _SERVICES}
        await _deliver(urls, name, stock)
        async with _system(settings), Client(settings) as client:
            await client.start_many(FlashSale, placed)
            await _all_ended(store, {order.order_id for order in placed}, told)
        return await _result(store, urls, name, stock)


def _order(sale: str, number: int) -> SaleOrdered:
    customer = f"{'good' if number % 10 else 'poor'}-{number}"
    return SaleOrdered(order_id=f"{sale}-{number:05}", sale=sale, customer=customer, price=Decimal("9.90"))


@asynccontextmanager
async def _system(settings: Settings) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for service in (inventory, payments):
            await stack.enter_async_context(service.running(settings))
        await stack.enter_async_context(Worker([FlashSale], settings, limits=[INVENTORY]))
        yield


async def _deliver(urls: Mapping[str, str], sale: str, stock: int) -> None:
    for participant, folder in _SERVICES.items():
        await migrate(urls[participant], f"amends.examples.flash_sale.sql.{folder}", "public")
    async with await AsyncConnection.connect(urls["sale_inventory"]) as tx:
        await tx.execute("INSERT INTO sale_shelf (sale, left_over) VALUES (%s, %s)", (sale, stock))


async def _all_ended(store: PostgresStore, keys: set[str], told: Callable[[Counter[str]], None]) -> None:
    while True:
        rows = await store.saga_rows(saga="flash-sale", limit=_MOST)
        statuses = Counter(row.status for row in rows if row.key in keys)
        told(statuses)
        if sum(statuses[status] for status in _FINAL) == len(keys):
            return
        await SystemClock().sleep(_LOOK_EVERY)


async def _result(store: PostgresStore, urls: Mapping[str, str], sale: str, stock: int) -> Result:
    rows = [row for row in await store.saga_rows(saga="flash-sale", limit=_MOST) if row.key.startswith(sale)]
    histories = [await store.history(row.saga_id) for row in rows]
    waits = [wait for history in histories for wait in _waits(history)]
    return Result(
        Counter(row.status for row in rows),
        stock,
        int(
            (await _column(urls["sale_inventory"], "SELECT left_over FROM sale_shelf WHERE sale = %s", sale))[
                0
            ]
        ),
        await _column(urls["sale_inventory"], "SELECT order_id FROM sale_reservations WHERE sale = %s", sale),
        await _column(
            urls["sale_payments"], "SELECT order_id FROM sale_payments WHERE order_id LIKE %s", f"{sale}-%"
        ),
        sorted(row.key for row in rows if row.status == "completed"),
        len(waits),
        _most_at_once(waits),
    )


def _waits(history: Sequence[Recorded]) -> list[tuple[float, float]]:
    """From when to when each command to reserve was outstanding."""
    begun: dict[tuple[int, int], float] = {}
    waits: list[tuple[float, float]] = []
    for event in (recorded.event for recorded in history):
        if not isinstance(event, e.OfCommand) or (event.step, event.direction) != ("reserve", "forward"):
            continue
        if isinstance(event, e.CommandReleased):
            begun[event.round, event.attempt] = event.at.timestamp()
        elif start := begun.pop((event.round, event.attempt), None):
            waits.append((start, event.at.timestamp()))
    return waits


def _most_at_once(waits: Sequence[tuple[float, float]]) -> int:
    changes = sorted([(end, -1) for _, end in waits] + [(start, 1) for start, _ in waits])
    at_once = most = 0
    for _, change in changes:
        at_once += change
        most = max(most, at_once)
    return most


async def _column(url: str, query: str, value: str) -> list[str]:
    async with await AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(query.encode(), (value,))
        return sorted(str(row[0]) for row in await cursor.fetchall())
