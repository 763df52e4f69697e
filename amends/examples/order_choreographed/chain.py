"""What is expected of the services of an order: the chain that leads to its end, and the one that undoes it."""

from __future__ import annotations

from datetime import timedelta

from amends import Choreography, link
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

QUICKLY = timedelta(minutes=1)


class OrderChoreographed(
    Choreography,
    name="order-choreographed",
    version=1,
    key="order_id",
    deadline=timedelta(hours=24),
    compensate_with=ShippingFailed,
):
    """Reserve, pay, ship. Whoever cannot do its part says so, and everybody before it undoes what it did.

    A payment that is not told of in time is asked for: the service may have crashed when the money was taken.
    """

    reserve = link(OrderCreated, "stock", InventoryReserved, within=QUICKLY)
    pay = link(InventoryReserved, "payment", PaymentCompleted, within=QUICKLY, overdue="republish")
    ship = link(PaymentCompleted, "delivery", ShippingCreated)
    finish = link(ShippingCreated, "orders", OrderCompleted, within=QUICKLY)

    refund = link(ShippingFailed, "payment", PaymentRefunded, within=QUICKLY, compensating=True)
    release = link(
        (PaymentFailed, PaymentRefunded), "stock", InventoryReleased, within=QUICKLY, compensating=True
    )
    fail = link((InventoryShort, InventoryReleased), "orders", OrderFailed, within=QUICKLY, compensating=True)
