"""The order saga where few run at once, and its services' limits."""

from __future__ import annotations

from datetime import timedelta

from amends import Breaker, Limit
from amends.examples.order.saga import Order

LIMITS = (
    Limit("inventory", outstanding=5, breaker=Breaker()),
    Limit("payments", per_second=50),
    Limit("shipping", outstanding=3),
)


class FewOrders(Order, name="order", version=1, key="order_id", deadline=timedelta(hours=24), limit=30):
    """At most thirty at once."""
