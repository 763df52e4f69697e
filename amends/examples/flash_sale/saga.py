"""The saga of an order in a flash sale, and the limits that keep its inventory service alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from amends import Breaker, Limit, Retry, Saga, step
from amends.examples.flash_sale.messages import PayItem, ReleaseItem, ReserveItem, SaleOrdered

INVENTORY: Final = Limit(
    "sale_inventory",
    outstanding=20,
    per_second=400,
    breaker=Breaker(failure_rate=0.5, outcomes=10, pause=timedelta(seconds=1), probes=3),
)
"""How much the inventory service can serve: `amends up` and `amends worker` find it in the module."""

_RETRY: Final = Retry(attempts=20, delay=timedelta(milliseconds=200), cap=timedelta(seconds=2))


class FlashSale(Saga[SaleOrdered], name="flash-sale", version=1, key="order_id", limit=500):
    """Reserve, then pay. At most 500 orders run at once; the others have not started."""

    @step(timeout=timedelta(seconds=2), retry=_RETRY)
    def reserve(self) -> ReserveItem:
        return ReserveItem(order_id=self.key, sale=self.start.sale)

    @reserve.compensate(timeout=timedelta(seconds=2))
    def release(self) -> ReleaseItem:
        return ReleaseItem(order_id=self.key)

    @step(pivot=True)
    def pay(self) -> PayItem:
        return PayItem(order_id=self.key, customer=self.start.customer, price=self.start.price)
