"""The choreographed order end to end: every way in which it can go, and a payment service that crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
from psycopg import AsyncConnection

from amends import link
from amends.examples.order_choreographed import (
    OrderChoreographed,
    delivery,
    orders,
    payment,
    services,
    stock,
)
from amends.examples.order_choreographed.books import TABLES, entries, prepare
from amends.examples.order_choreographed.messages import (
    InventoryReleased,
    InventoryReserved,
    InventoryShort,
    OrderCreated,
    PaymentCompleted,
    ShippingFailed,
)
from amends.infrastructure.embedded import Servers
from amends.operating import Cancel
from tests.conftest import DatabaseFrom
from tests.examples.choreographed import SOON, Company, company, killed, published, types

MODULE = "amends.examples.order_choreographed"


class Hasty(
    OrderChoreographed,
    name="order-choreographed",
    version=2,
    key="order_id",
    deadline=timedelta(hours=24),
    compensate_with=ShippingFailed,
):
    """The same with less patience for payments."""

    pay = link(
        InventoryReserved, "payment", PaymentCompleted, within=timedelta(seconds=1), overdue="republish"
    )


async def nothing(url: str) -> None:
    """A database without tables."""


@pytest.fixture
async def shop(servers: Servers, namespace: str, database_from: DatabaseFrom) -> AsyncIterator[Company]:
    urls = {service: await database_from("empty", nothing) for service in TABLES}
    await prepare(urls, {"lamp": 10, "unicorn": 0})
    async with company(servers, namespace, urls, Hasty) as opened:
        yield opened


def created(order_id: str, sku: str = "lamp", customer: str = "Ada", country: str = "Norway") -> OrderCreated:
    return OrderCreated(
        order_id=order_id, customer=customer, sku=sku, quantity=1, total=Decimal("19.90"), country=country
    )


async def test_every_way_in_which_an_order_can_go(shop: Company) -> None:
    events = [
        created("fine"),
        created("short", sku="unicorn"),
        created("declined", customer="poor Bob"),
        created("unreachable", country="Atlantis"),
    ]
    async with shop.running(stock, payment, delivery, orders):
        runs = [await shop.client.start(Hasty, each) for each in events]
        outcomes = await asyncio.gather(*(run.result(timeout=SOON) for run in runs))
    assert outcomes == ["completed", "compensated", "compensated", "compensated"]
    done = {"stock": ["reserved"], "payment": ["paid"], "delivery": ["shipped"], "orders": ["completed"]}
    undone = {"stock": [], "payment": [], "delivery": [], "orders": ["failed"]}
    assert await entries(shop.urls, "fine") == done
    assert await entries(shop.urls, "short") == undone
    assert await entries(shop.urls, "declined") == undone
    assert await entries(shop.urls, "unreachable") == undone | {"payment": ["refunded"]}


async def test_an_order_that_fails_for_two_reasons_is_closed_once(shop: Company) -> None:
    """It is short, and cancelled before anybody knew: the way back then leads to its end once more."""
    async with await AsyncConnection.connect(shop.urls["orders"]) as tx:
        await services.fail(InventoryShort(order_id="o-3"), tx)
        await services.fail(InventoryReleased(order_id="o-3"), tx)
        await services.reopen(ShippingFailed(order_id="o-3"), tx)
    assert (await entries(shop.urls, "o-3"))["orders"] == ["failed"]


async def test_a_payment_service_that_crashes_between_its_transaction_and_its_event_is_noticed_and_settled(
    shop: Company,
) -> None:
    async with shop.running(stock, delivery, orders):
        crashing = await shop.dying(payment, MODULE)
        run = await shop.client.start(Hasty, created("o-1"))
        await killed(crashing)
        assert await entries(shop.urls, "o-1") == {
            "stock": ["reserved"], "payment": ["paid"], "delivery": [], "orders": [],
        }  # fmt: skip
        await shop.milestone(run, "parked")
        assert published(await shop.history(run)) == ["payment.republish-requested"]
        async with shop.running(payment):
            assert await run.result(timeout=SOON) == "completed"
    assert (await entries(shop.urls, "o-1"))["payment"] == ["paid"]


async def test_a_cancelled_order_is_undone_by_everybody(shop: Company) -> None:
    async with shop.running(stock, orders):
        crashing = await shop.dying(payment, MODULE)
        run = await shop.client.start(Hasty, created("o-2"))
        await killed(crashing)
        await shop.client.act(run.id, Cancel("c-1", "the customer is in a hurry", by="anna"))
        async with shop.running(payment, delivery):
            assert await run.result(timeout=SOON) == "compensated"
            assert "saga.compensating" in types(await shop.history(run))
    books = {"stock": [], "payment": ["refunded"], "delivery": [], "orders": ["failed"]}
    assert await entries(shop.urls, "o-2") == books
