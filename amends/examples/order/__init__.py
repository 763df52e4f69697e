"""An order: reserve the goods, charge the payment, create the shipment, send a notification."""

from amends.examples.order.saga import Order
from amends.examples.order.services import inventory, notifications, payments, shipping

__all__ = ["Order", "inventory", "notifications", "payments", "shipping"]
