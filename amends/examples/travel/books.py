"""The books of the travel example: what each vendor has, and whether it balances."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import AsyncConnection

from amends.examples.travel.services import STOCK
from amends.infrastructure.postgres.migrate import migrate


async def prepare(urls: Mapping[str, str]) -> None:
    """Make each vendor's tables in its own database, and fill the shelves, once."""
    for vendor, count in STOCK.items():
        await migrate(urls[vendor], "amends.examples.travel.sql", "public")
        async with await AsyncConnection.connect(urls[vendor]) as tx:
            await tx.execute(
                "INSERT INTO shelf (left_over) SELECT %s WHERE NOT EXISTS (SELECT FROM shelf)", (count,)
            )


async def balance(urls: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """For each vendor what is left over and what is booked; their sum is the stock, always."""
    found: dict[str, tuple[int, int]] = {}
    for vendor in STOCK:
        async with await AsyncConnection.connect(urls[vendor]) as tx:
            cursor = await tx.execute(
                "SELECT (SELECT sum(left_over) FROM shelf), (SELECT count(*) FROM bookings)"
            )
            row = await cursor.fetchone()
            assert row is not None
            found[vendor] = (int(row[0]), int(row[1]))
    return found
