"""The books of the order example: tables, goods on the shelf, and whether they balance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from amends.examples.order.messages import OrderPlaced
from amends.infrastructure.postgres.migrate import migrate

SERVICES: Final = ("inventory", "payments", "shipping", "notifications")
_SQL: Final = "amends.examples.order.sql"
_DELIVER: Final = (
    "INSERT INTO stock (sku, delivered, on_hand) VALUES (%(sku)s, %(n)s, %(n)s) ON CONFLICT (sku) DO UPDATE "
    "SET delivered = stock.delivered + %(n)s, on_hand = stock.on_hand + %(n)s"
)


@dataclass(frozen=True, slots=True)
class Balance:
    """One line of the check: what must be equal, and what each side is."""

    what: str
    expected: Any
    found: Any

    @property
    def holds(self) -> bool:
        """Nothing was lost, and nothing doubled."""
        return bool(self.expected == self.found)


async def prepare(urls: Mapping[str, str], deliveries: Mapping[str, int]) -> None:
    """Make each service's tables in its own database, and put goods on the shelf."""
    for name in SERVICES:
        await migrate(urls[name], f"{_SQL}.{name}", "public")
    async with await AsyncConnection.connect(urls["inventory"]) as tx:
        for sku, quantity in deliveries.items():
            await tx.execute(_DELIVER, {"sku": sku, "n": quantity})


async def balance(
    urls: Mapping[str, str], orders: Iterable[OrderPlaced], statuses: Mapping[str, str]
) -> list[Balance]:
    """Compare the services' databases with what became of the sagas, by order id."""
    placed = list(orders)
    done = {order.order_id for order in placed if statuses[order.order_id] == "completed"}
    bought = {order.order_id: order for order in placed if order.order_id in done}
    ids = [order.order_id for order in placed]
    reserved = await _column(
        urls["inventory"], "SELECT order_id FROM reservations WHERE order_id = ANY(%s)", ids
    )
    shelf = await _rows(urls["inventory"], "SELECT sku, delivered, on_hand FROM stock ORDER BY sku")
    held = dict(await _rows(urls["inventory"], "SELECT sku, sum(quantity) FROM reservations GROUP BY sku"))
    kept = await _rows(
        urls["payments"],
        "SELECT order_id, amount FROM charges WHERE NOT refunded AND order_id = ANY(%s)",
        ids,
    )
    shipped = await _column(urls["shipping"], "SELECT order_id FROM shipments WHERE order_id = ANY(%s)", ids)
    told = await _column(
        urls["notifications"], "SELECT order_id FROM notifications WHERE order_id = ANY(%s)", ids
    )
    paid = sum((order.total for order in bought.values()), Decimal(0))
    return [
        *(
            Balance(
                f"stock of {sku}: delivered = on the shelf + reserved", delivered, on_hand + held.get(sku, 0)
            )
            for sku, delivered, on_hand in shelf
        ),
        Balance("orders with goods reserved = orders completed", len(done), len(done & set(reserved))),
        Balance("goods reserved for orders that were undone", 0, len(set(reserved) - done)),
        Balance("money kept = total of orders completed", paid, sum((a for _, a in kept), Decimal(0))),
        Balance("orders paid, and no others", sorted(done), sorted(order for order, _ in kept)),
        Balance("orders shipped, and no others", sorted(done), sorted(shipped)),
        Balance("customers told, and no others", sorted(done), sorted(told)),
    ]


async def _rows(url: str, query: LiteralString, *values: object) -> list[Any]:
    async with await AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(query, values or None)
        return await cursor.fetchall()


async def _column(url: str, query: LiteralString, *values: object) -> list[str]:
    return [row[0] for row in await _rows(url, query, *values)]
