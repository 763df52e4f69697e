"""Every way in which an example can go settles or parks, and each can be drawn."""

from __future__ import annotations

import re
from typing import Any

import pytest

from amends import Choreography, ProcessManager, Saga
from amends.cli.describing import design_of
from amends.examples.booking import Booking
from amends.examples.flash_sale import FlashSale
from amends.examples.order import Order
from amends.examples.order_choreographed import OrderChoreographed
from amends.examples.order_handlers import OrderHandlers
from amends.examples.renewal import Cancellation, Renewal
from amends.examples.travel import Travel, TravelByVendorsRules, TravelInOrder
from amends.examples.travel_choreographed import TravelChoreographed
from amends.examples.trip import Trip
from amends.projections.design import failures, outline
from amends.projections.design.canvas import plain
from amends.projections.design.drawing import drawing
from amends.projections.design.mermaid import mermaid
from amends.projections.design.page import page
from amends.testing.exploring import explore

SAGAS: list[type[Saga[Any]]] = [
    Booking,
    Cancellation,
    FlashSale,
    Order,
    Renewal,
    Travel,
    TravelByVendorsRules,
    TravelInOrder,
    Trip,
]


@pytest.mark.parametrize("saga", [*SAGAS, OrderHandlers, TravelChoreographed])
def test_every_way_settles_or_parks(saga: type[Saga[Any] | ProcessManager[Any] | Choreography]) -> None:
    assert explore(saga.definition).settles


MERMAID = re.compile(
    r"""flowchart\ TD
    | \ {4}classDef\ \w+\ [\w:#,\ -]+                                                # colours
    | \ {4}\w+(\(\[|\(|\[/|\[|\{\{|>)"[^"\n]+"(\]\)|\)|/\]|\]|\}\}):::\w+              # a box
    | \ {4}\w+\ ((-->|-\.->)(\|"[^"\n]+"\|)?|-\.\ undo\ \.-)\ \w+                      # an arrow
    """,
    re.VERBOSE,
)


@pytest.mark.parametrize("saga", [*SAGAS, OrderHandlers, OrderChoreographed, TravelChoreographed])
def test_its_diagram_is_of_boxes_arrows_and_colours_and_each_arrow_is_between_boxes(
    saga: type[Saga[Any] | ProcessManager[Any] | Choreography],
) -> None:
    lines = mermaid(design_of(saga)).splitlines()
    assert [line for line in lines if not MERMAID.fullmatch(line)] == []
    boxes = {
        line.split("(")[0].split("[")[0].split("{")[0].split(">")[0].strip()
        for line in lines
        if ":::" in line
    }
    arrows = [(line.split()[0], line.split()[-1]) for line in lines if "-->" in line or "-." in line]
    assert arrows
    assert all(source in boxes and target in boxes for source, target in arrows)


@pytest.mark.parametrize("saga", [*SAGAS, OrderHandlers])
def test_its_drawing_fits_a_terminal_of_110_columns(saga: type[Saga[Any] | ProcessManager[Any]]) -> None:
    assert max(map(len, plain(drawing(design_of(saga), 110)).splitlines())) <= 110


@pytest.mark.parametrize("saga", [*SAGAS, OrderChoreographed, TravelChoreographed])
def test_its_page_tells_every_step_and_where_it_can_fail(saga: type[Saga[Any] | Choreography]) -> None:
    design = outline(saga.definition.shape())
    text = page(design)
    assert all(step.name in text for step in saga.definition.steps)
    assert failures(design)
