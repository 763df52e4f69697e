"""The events by which the services of the order go on from each other. Each carries what the next service needs."""

from __future__ import annotations

from decimal import Decimal

from amends import Event


class OrderCreated(Event, subject="order.created"):
    order_id: str
    customer: str
    sku: str
    quantity: int
    total: Decimal
    country: str


class InventoryReserved(Event, subject="stock.reserved"):
    order_id: str
    customer: str
    total: Decimal
    country: str


class PaymentCompleted(Event, subject="payment.completed"):
    order_id: str
    country: str


class ShippingCreated(Event, subject="delivery.created"):
    order_id: str
    tracking: str


class OrderCompleted(Event, subject="order.completed"):
    order_id: str


class InventoryShort(Event, subject="stock.short"):
    order_id: str


class PaymentFailed(Event, subject="payment.failed"):
    order_id: str


class ShippingFailed(Event, subject="delivery.failed"):
    order_id: str


class PaymentRefunded(Event, subject="payment.refunded"):
    order_id: str


class InventoryReleased(Event, subject="stock.released"):
    order_id: str


class OrderFailed(Event, subject="order.failed"):
    order_id: str
