"""The four services of the order saga, each with a database of its own. Money is Decimal, stock is counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from amends import Done, Failed, Participant, Rejected, Tx
from amends.examples.order.messages import (
    ChargePayment,
    CreateShipment,
    InventoryReserved,
    PaymentCharged,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    SendNotification,
    ShipmentCreated,
)

inventory: Participant[None] = Participant("inventory")
payments: Participant[None] = Participant("payments")
shipping: Participant[None] = Participant("shipping")
notifications: Participant[None] = Participant("notifications")

CREDIT = Decimal(1000)
"""What any one order may cost, except a poor customer's, who can pay nothing."""

_tried: set[str] = set()


@inventory.handles(ReserveInventory)
async def reserve(command: ReserveInventory, tx: Tx) -> InventoryReserved:
    """Take the goods from the shelf. The row's lock makes other reservations of the same goods wait."""
    reserved = await tx.execute(
        "WITH taken AS (UPDATE stock SET on_hand = on_hand - %(quantity)s "
        "WHERE sku = %(sku)s AND on_hand >= %(quantity)s RETURNING sku) "
        "INSERT INTO reservations (order_id, sku, quantity) SELECT %(order_id)s, sku, %(quantity)s FROM taken",
        command.model_dump(),
    )
    if reserved.rowcount == 0:
        raise Rejected("out_of_stock", f"{command.sku}: {command.quantity} are not in stock")
    return InventoryReserved(order_id=command.order_id)


@inventory.handles(ReleaseInventory, undoes=ReserveInventory)
async def release(command: ReleaseInventory, tx: Tx) -> Done:
    """Put the goods back. It runs only where they were taken, and once."""
    await tx.execute(
        "WITH returned AS (DELETE FROM reservations WHERE order_id = %s RETURNING sku, quantity) "
        "UPDATE stock SET on_hand = on_hand + returned.quantity FROM returned WHERE returned.sku = stock.sku",
        (command.order_id,),
    )
    return Done()


@payments.handles(ChargePayment)
async def charge(command: ChargePayment, tx: Tx) -> PaymentCharged:
    """Take the money, unless the customer cannot pay."""
    if command.customer.startswith("poor") or command.amount > CREDIT:
        raise Rejected("declined", "the card was declined")
    await tx.execute(
        "INSERT INTO charges (order_id, amount) VALUES (%s, %s)", (command.order_id, command.amount)
    )
    return PaymentCharged(payment_id=f"pay-{command.order_id}")


@payments.handles(RefundPayment, undoes=ChargePayment)
async def refund(command: RefundPayment, tx: Tx) -> Done:
    """Give the money back; both movements stay on the books."""
    await tx.execute("UPDATE charges SET refunded = true WHERE order_id = %s", (command.order_id,))
    return Done()


@shipping.handles(CreateShipment)
async def ship(command: CreateShipment, tx: Tx) -> ShipmentCreated:
    """Hand the parcel to the carrier, who does not go everywhere."""
    if command.country == "Atlantis":
        raise Rejected("unreachable", "no carrier goes to Atlantis")
    await tx.execute("INSERT INTO shipments (order_id) VALUES (%s)", (command.order_id,))
    return ShipmentCreated(tracking=f"T-{command.order_id}")


@notifications.handles(SendNotification)
async def notify(command: SendNotification, tx: Tx) -> Done:
    """Send an e-mail. Some need a second attempt, as in life."""
    if command.order_id.endswith("7") and command.order_id not in _tried:
        _tried.add(command.order_id)
        raise Failed("mail_down", "the mail server is busy", retry_after=timedelta(milliseconds=200))
    await tx.execute(
        "INSERT INTO notifications (order_id, text) VALUES (%s, %s)", (command.order_id, command.text)
    )
    return Done()
