"""The order process as handlers: each event, and what it leads to. Its services are those of the order saga."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel

from amends import Action, Command, ProcessManager, Retry, complete, on, send, starts
from amends.examples.order.messages import (
    ChargePayment,
    CreateShipment,
    InventoryReserved,
    OrderPlaced,
    OrderTransfer,
    PaymentCharged,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    SendNotification,
    ShipmentCreated,
)


class OrderState(BaseModel):
    """What must be known of the order until its parcel is on its way."""

    order: OrderPlaced | None = None


class OrderHandlers(
    ProcessManager[OrderState],
    name="order-handlers",
    version=1,
    deadline=timedelta(hours=24),
    sends=[
        ReserveInventory,
        ReleaseInventory,
        ChargePayment,
        OrderTransfer,
        RefundPayment,
        CreateShipment,
        SendNotification,
    ],
):
    """Reserve, charge, ship, notify."""

    @starts(OrderPlaced, key="order_id")
    def placed(self, event: OrderPlaced) -> Iterator[Action]:
        """Take the goods from the shelf."""
        self.state.order = event
        reserve = ReserveInventory(order_id=self.key, sku=event.sku, quantity=event.quantity)
        yield send(reserve, compensate=ReleaseInventory(order_id=self.key))

    @on(InventoryReserved)
    def reserved(self, event: InventoryReserved) -> Iterator[Action]:
        """Take the money. Without an answer in half an hour, over three attempts, the order is undone."""
        yield send(
            self.payment(),
            compensate=RefundPayment(order_id=self.key),
            timeout=timedelta(minutes=10),
            retry=Retry(attempts=3),
        )

    @on(PaymentCharged)
    def charged(self, event: PaymentCharged) -> Iterator[Action]:
        """Ship. From its success on, there is no way back."""
        yield send(CreateShipment(order_id=self.key, country=self.placed_order.country), pivot=True)

    @on(ShipmentCreated)
    def shipped(self, event: ShipmentCreated) -> Iterator[Action]:
        """Tell the customer, and be done."""
        yield send(SendNotification(order_id=self.key, text=f"Your order is on its way: {event.tracking}"))
        yield complete()

    @property
    def placed_order(self) -> OrderPlaced:
        """The order; it is known from the first event on."""
        assert self.state.order is not None
        return self.state.order

    def payment(self) -> Command[PaymentCharged]:
        """How the customer pays."""
        order = self.placed_order
        if order.method == "transfer":
            return OrderTransfer(order_id=self.key, amount=order.total)
        return ChargePayment(order_id=self.key, customer=order.customer, amount=order.total)
