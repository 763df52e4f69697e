"""The books of the choreographed order: each service's tables, and what they say of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import AsyncConnection

from amends.infrastructure.postgres.migrate import migrate

TABLES: Final = {
    "stock": "amends.examples.order.sql.inventory",
    "payment": "amends.examples.order.sql.payments",
    "delivery": "amends.examples.order.sql.shipping",
    "orders": "amends.examples.order_choreographed.sql",
}
_FOUND: Final[dict[str, LiteralString]] = {
    "stock": "SELECT 'reserved' FROM reservations WHERE order_id = %s",
    "payment": "SELECT CASE WHEN refunded THEN 'refunded' ELSE 'paid' END FROM charges WHERE order_id = %s",
    "delivery": "SELECT 'shipped' FROM shipments WHERE order_id = %s",
    "orders": "SELECT how FROM closed_orders WHERE order_id = %s",
}


async def prepare(urls: Mapping[str, str], goods: Mapping[str, int]) -> None:
    """Make each service's tables in its own database, and put goods on the shelf."""
    for service, package in TABLES.items():
        await migrate(urls[service], package, "public")
    async with await AsyncConnection.connect(urls["stock"]) as tx:
        for sku, count in goods.items():
            await tx.execute(
                "INSERT INTO stock (sku, delivered, on_hand) VALUES (%s, %s, %s)", (sku, count, count)
            )


async def entries(urls: Mapping[str, str], order_id: str) -> dict[str, list[str]]:
    """What each service has on its books of this order."""
    found: dict[str, list[str]] = {}
    for service, query in _FOUND.items():
        async with await AsyncConnection.connect(urls[service]) as tx:
            cursor = await tx.execute(query, (order_id,))
            found[service] = [row[0] for row in await cursor.fetchall()]
    return found
