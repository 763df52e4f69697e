"""Inventory and payments of a flash sale. The inventory is slow, and breaks down in the middle of it."""

from __future__ import annotations

from itertools import count
from typing import Final

from amends import Done, Failed, Participant, Rejected, Tx
from amends.examples.flash_sale.messages import (
    ItemPaid,
    ItemReserved,
    PayItem,
    ReleaseItem,
    ReserveItem,
)

inventory: Participant[None] = Participant("sale_inventory")
payments: Participant[None] = Participant("sale_payments")

OVERLOADED: Final = range(60, 90)
"""These reservations, by the number of the call, fail."""

FROZEN: Final = 150
"""This one takes longer than anybody waits for it, and so does all that is asked meanwhile."""

_calls = count()


@inventory.handles(ReserveItem)
async def reserve(command: ReserveItem, tx: Tx) -> ItemReserved:
    """Take one from the shelf. A call takes two milliseconds, so ten thousand at once take twenty seconds."""
    call = next(_calls)
    await tx.execute("SELECT pg_sleep(%s)", (3 if call == FROZEN else 0.002,))
    if call in OVERLOADED:
        raise Failed("overloaded", "the inventory has too much to do")
    taken = await tx.execute(
        "UPDATE sale_shelf SET left_over = left_over - 1 WHERE sale = %s AND left_over > 0", (command.sale,)
    )
    if taken.rowcount == 0:
        raise Rejected("sold_out", "the last one is gone")
    await tx.execute(
        "INSERT INTO sale_reservations (order_id, sale) VALUES (%s, %s)", (command.order_id, command.sale)
    )
    return ItemReserved(order_id=command.order_id)


@inventory.handles(ReleaseItem, undoes=ReserveItem)
async def release(command: ReleaseItem, tx: Tx) -> Done:
    """Put it back."""
    await tx.execute(
        "UPDATE sale_shelf SET left_over = left_over + 1 FROM sale_reservations AS reserved "
        "WHERE reserved.order_id = %s AND reserved.sale = sale_shelf.sale",
        (command.order_id,),
    )
    await tx.execute("DELETE FROM sale_reservations WHERE order_id = %s", (command.order_id,))
    return Done()


@payments.handles(PayItem)
async def pay(command: PayItem, tx: Tx) -> ItemPaid:
    """Take the money, unless the customer has none."""
    if command.customer.startswith("poor"):
        raise Rejected("declined", "the card was declined")
    await tx.execute("INSERT INTO sale_payments (order_id) VALUES (%s)", (command.order_id,))
    return ItemPaid(order_id=command.order_id)
