"""What the order process and its services say to each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from amends import Command, Event


class OrderPlaced(Event, subject="orders.placed"):
    order_id: str
    customer: str
    sku: str
    quantity: int
    total: Decimal
    country: str
    method: Literal["card", "transfer"] = "card"


class InventoryReserved(Event, subject="inventory.reserved"):
    order_id: str


class ReserveInventory(Command[InventoryReserved], subject="inventory.reserve"):
    order_id: str
    sku: str
    quantity: int


class ReleaseInventory(Command, subject="inventory.release"):
    order_id: str


class PaymentCharged(Event, subject="payments.charged"):
    payment_id: str


class ChargePayment(Command[PaymentCharged], subject="payments.charge"):
    order_id: str
    customer: str
    amount: Decimal


class OrderTransfer(Command[PaymentCharged], subject="bank.transfer"):
    """Asks a bank that nobody connected yet: it never answers."""

    order_id: str
    amount: Decimal


class RefundPayment(Command, subject="payments.refund"):
    order_id: str


class ShipmentCreated(Event, subject="shipping.created"):
    tracking: str


class CreateShipment(Command[ShipmentCreated], subject="shipping.create"):
    order_id: str
    country: str


class SendNotification(Command, subject="notifications.send"):
    order_id: str
    text: str
