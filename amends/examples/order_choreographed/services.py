"""The services of the order, each with a database of its own; their work is that of `amends.examples.order`.

Each undoes what it did when it hears that somebody behind it could not do its part. `delivery` undoes nothing, but
must not ship behind an order that is over.
"""

from __future__ import annotations

from amends import Participant, Tx
from amends.examples.order import services as work
from amends.examples.order.messages import (
    ChargePayment,
    CreateShipment,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
)
from amends.examples.order_choreographed.messages import (
    InventoryReleased,
    InventoryReserved,
    InventoryShort,
    OrderCompleted,
    OrderCreated,
    OrderFailed,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
    ShippingCreated,
    ShippingFailed,
)

stock: Participant[None] = Participant("stock")
payment: Participant[None] = Participant("payment")
delivery: Participant[None] = Participant("delivery")
orders: Participant[None] = Participant("orders")


@stock.reacts_to(OrderCreated, key="order_id", rejected=InventoryShort)
async def reserve(event: OrderCreated, tx: Tx) -> InventoryReserved:
    """Take the goods from the shelf."""
    command = ReserveInventory(order_id=event.order_id, sku=event.sku, quantity=event.quantity)
    await work.reserve(command, tx)
    return InventoryReserved(
        order_id=event.order_id, customer=event.customer, total=event.total, country=event.country
    )


@stock.reacts_to(PaymentFailed, key="order_id", undoes=OrderCreated, publishes=InventoryReleased)
@stock.reacts_to(PaymentRefunded, key="order_id", undoes=OrderCreated, publishes=InventoryReleased)
async def release(event: PaymentFailed | PaymentRefunded, tx: Tx) -> None:
    """Put the goods back."""
    await work.release(ReleaseInventory(order_id=event.order_id), tx)


@payment.reacts_to(InventoryReserved, key="order_id", rejected=PaymentFailed)
async def pay(event: InventoryReserved, tx: Tx) -> PaymentCompleted:
    """Take the money."""
    command = ChargePayment(order_id=event.order_id, customer=event.customer, amount=event.total)
    await work.charge(command, tx)
    return PaymentCompleted(order_id=event.order_id, country=event.country)


@payment.reacts_to(ShippingFailed, key="order_id", undoes=InventoryReserved, publishes=PaymentRefunded)
async def refund(event: ShippingFailed, tx: Tx) -> None:
    """Give the money back."""
    await work.refund(RefundPayment(order_id=event.order_id), tx)


@delivery.reacts_to(PaymentCompleted, key="order_id", rejected=ShippingFailed)
async def ship(event: PaymentCompleted, tx: Tx) -> ShippingCreated:
    """Hand the parcel to the carrier."""
    created = await work.ship(CreateShipment(order_id=event.order_id, country=event.country), tx)
    return ShippingCreated(order_id=event.order_id, tracking=created.tracking)


@delivery.reacts_to(ShippingFailed, key="order_id", undoes=PaymentCompleted)
async def call_back(event: ShippingFailed, tx: Tx) -> None:
    """Call the parcel back; without one, none goes out from now on."""
    await tx.execute("DELETE FROM shipments WHERE order_id = %s", (event.order_id,))


@orders.reacts_to(ShippingCreated, key="order_id")
async def finish(event: ShippingCreated, tx: Tx) -> OrderCompleted:
    """Close the order."""
    await tx.execute("INSERT INTO closed_orders (order_id, how) VALUES (%s, 'completed')", (event.order_id,))
    return OrderCompleted(order_id=event.order_id)


@orders.reacts_to(InventoryShort, key="order_id")
@orders.reacts_to(InventoryReleased, key="order_id")
async def fail(event: InventoryShort | InventoryReleased, tx: Tx) -> OrderFailed:
    """Close the order; nobody is left who has anything of it. It may have failed for another reason too."""
    await tx.execute(
        "INSERT INTO closed_orders (order_id, how) VALUES (%s, 'failed') "
        "ON CONFLICT (order_id) DO UPDATE SET how = 'failed'",
        (event.order_id,),
    )
    return OrderFailed(order_id=event.order_id)


@orders.reacts_to(ShippingFailed, key="order_id", undoes=ShippingCreated)
async def reopen(event: ShippingFailed, tx: Tx) -> None:
    """Take back that it was completed; if it was not, it never will be."""
    await tx.execute("DELETE FROM closed_orders WHERE order_id = %s AND how = 'completed'", (event.order_id,))
