"""The order saga."""

from __future__ import annotations

from datetime import timedelta

from amends import Retry, Saga, step
from amends.examples.order.messages import (
    ChargePayment,
    CreateShipment,
    OrderPlaced,
    OrderTransfer,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    SendNotification,
)


class Order(Saga[OrderPlaced], name="order", version=1, key="order_id", deadline=timedelta(hours=24)):
    """Reserve, charge, ship, notify."""

    @step
    def reserve_inventory(self) -> ReserveInventory:
        return ReserveInventory(order_id=self.key, sku=self.start.sku, quantity=self.start.quantity)

    @reserve_inventory.compensate
    def release_inventory(self) -> ReleaseInventory:
        return ReleaseInventory(order_id=self.key)

    # A payment that has not answered in half an hour, over three attempts, is given up; the charge may have
    # happened all the same, so it is refunded.
    @step(timeout=timedelta(minutes=10), retry=Retry(attempts=3))
    def charge_payment(self) -> ChargePayment | OrderTransfer:
        order = self.start
        if order.method == "transfer":
            return OrderTransfer(order_id=self.key, amount=order.total)
        return ChargePayment(order_id=self.key, customer=order.customer, amount=order.total)

    @charge_payment.compensate
    def refund_payment(self) -> RefundPayment:
        return RefundPayment(order_id=self.key)

    @step(pivot=True)
    def create_shipment(self) -> CreateShipment:
        return CreateShipment(order_id=self.key, country=self.start.country)

    @step
    def send_notification(self) -> SendNotification:
        tracking = self.reply(Order.create_shipment).tracking
        return SendNotification(order_id=self.key, text=f"Your order is on its way: {tracking}")


class HastyOrder(Order, name="order", version=2, key="order_id", deadline=timedelta(minutes=5)):
    """A version for a demonstration, in which nobody wants to wait half an hour for a payment."""

    charge_payment = Order.charge_payment.with_options(
        timeout=timedelta(seconds=2), retry=Retry(attempts=2, delay=timedelta(milliseconds=500))
    )
