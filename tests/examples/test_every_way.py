"""Every way in which an example can go settles or parks, and each can be drawn."""

from __future__ import annotations

from typing import Any

import pytest

from amends import ProcessManager, Saga
from amends.examples.booking import Booking
from amends.examples.order import Order
from amends.examples.order_handlers import OrderHandlers
from amends.examples.renewal import Cancellation, Renewal
from amends.examples.travel import Travel, TravelByVendorsRules, TravelInOrder
from amends.examples.trip import Trip
from amends.projections.design import failures, outline
from amends.projections.design.page import page
from amends.testing.exploring import explore

SAGAS: list[type[Saga[Any]]] = [
    Booking,
    Cancellation,
    Order,
    Renewal,
    Travel,
    TravelByVendorsRules,
    TravelInOrder,
    Trip,
]


@pytest.mark.parametrize("saga", [*SAGAS, OrderHandlers])
def test_every_way_settles_or_parks(saga: type[Saga[Any] | ProcessManager[Any]]) -> None:
    assert explore(saga.definition).settles


@pytest.mark.parametrize("saga", SAGAS)
def test_its_page_tells_every_step_and_where_it_can_fail(saga: type[Saga[Any]]) -> None:
    design = outline(saga.definition.shape())
    text = page(design)
    assert all(step.name in text for step in saga.definition.steps)
    assert failures(design)
