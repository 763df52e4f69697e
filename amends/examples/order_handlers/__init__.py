"""The order of `amends.examples.order` once more, as a process manager in the event-handler style."""

from amends.examples.order.services import inventory, notifications, payments, shipping
from amends.examples.order_handlers.manager import OrderHandlers

__all__ = ["OrderHandlers", "inventory", "notifications", "payments", "shipping"]
