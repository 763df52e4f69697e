"""The order without a coordinator: stock, payment and delivery react to each other's events, and are observed."""

from amends.examples.order_choreographed.chain import OrderChoreographed
from amends.examples.order_choreographed.services import delivery, orders, payment, stock

__all__ = ["OrderChoreographed", "delivery", "orders", "payment", "stock"]
