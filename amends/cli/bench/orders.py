"""The orders that are placed: number after number, and one in ten cannot be shipped and is undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from amends.examples.order.books import Balance
from amends.examples.order.messages import OrderPlaced
from amends.infrastructure.ports import SagaRow

FINAL: Final = ("completed", "compensated", "failed")
_UNDONE_EVERY: Final = 10


def order(number: int) -> OrderPlaced:
    return OrderPlaced(
        # The example's mail server is busy at first for ids that end in 7, and that wait is not what is measured.
        order_id=f"{number:07}-x",
        customer=f"good-{number}",
        sku="lamp",
        quantity=1,
        total=Decimal("9.90"),
        country="Norway" if number % _UNDONE_EVERY else "Atlantis",
    )


def undone(orders: int) -> int:
    """How many of the first so many are undone."""
    return -(-orders // _UNDONE_EVERY)


def books(rows: Iterable[SagaRow], orders: int) -> list[Balance]:
    """Whether each of the first so many orders became one saga, which ended as it should."""
    became = {row.key: row.status for row in rows}
    astray = [
        placed.order_id
        for placed in map(order, range(orders))
        if became.get(placed.order_id) != ("compensated" if placed.country == "Atlantis" else "completed")
    ]
    return [
        Balance("sagas = orders placed", orders, len(became)),
        Balance("orders that did not end as they should", [], astray),
    ]


def effects(found: Mapping[str, int], orders: int) -> list[Balance]:
    """Whether the echo service saw every command of these orders, by the number of idempotency keys that it did."""
    back, through = undone(orders), orders - undone(orders)
    expected = {
        "inventory.reserve": orders,
        "payments.charge": orders,
        "shipping.create": through,
        "notifications.send": through,
        "payments.refund": back,
        "inventory.release": back,
    }
    return [Balance(f"effects of {name}", count, found.get(name, 0)) for name, count in expected.items()]
