"""A choreography on paper, from the recorded shape alone."""

from __future__ import annotations

import json

from amends.infrastructure.shapes import plain
from amends.projections.design import failures, outline
from amends.projections.design.boxes import of_links
from amends.projections.design.canvas import plain as drawn
from amends.projections.design.chains import link_rows
from amends.projections.design.drawing import sheet
from amends.projections.design.mermaid import mermaid
from amends.projections.design.page import page
from tests.domain.chains import Trip

DESIGN = outline(plain(Trip.definition.shape()), "A flight, a hotel, a car.")
BACK = "hotels: hotels.cancelled → flights: flights.cancelled → compensated"


def test_both_chains_are_told_link_by_link() -> None:
    assert list(link_rows(DESIGN, compensating=False)) == [
        ("flight", "trips.begun", "flights", "flights.booked", "1 min", "a person is called"),
        ("hotel", "flights.booked", "hotels", "hotels.booked", "1 min", "the chain is turned back"),
        (
            "car", "hotels.booked", "cars", "cars.booked", "1 min",
            "it is asked to publish again, then a person is called",
        ),
    ]  # fmt: skip
    assert [row[:4] for row in link_rows(DESIGN, compensating=True)] == [
        ("hotel_back", "cars.refused", "hotels", "hotels.cancelled"),
        ("flight_back", "hotels.cancelled or hotels.refused", "flights", "flights.cancelled"),
    ]


def test_the_failure_table_tells_what_silence_leads_to_and_what_each_event_undoes() -> None:
    rows = [(row.point, row.what, row.text()) for row in failures(DESIGN)]
    assert rows[0] == (
        "flight",
        "no flights.booked within 1 min: a person is called",
        "it is waited for further",
    )
    assert rows[1] == ("hotel", "no hotels.booked within 1 min", f"publishes cars.refused → {BACK}")
    assert rows[-3:] == [
        ("any link", "cars.refused comes", BACK),
        ("any link", "hotels.refused comes", "flights: flights.cancelled → compensated"),
        ("any link", "cancelled", f"publishes cars.refused → {BACK}"),
    ]


def test_page_and_diagram_show_both_chains() -> None:
    text = page(DESIGN)
    assert "## Chain" in text
    assert "## Compensation chain" in text
    assert "Started by `trips.begun`." in text
    diagram = mermaid(DESIGN)
    assert 'e1 -->|"<b>flight</b> flights"| e2' in diagram
    assert '-.->|"<b>flight_back</b> flights"|' in diagram


def test_the_shape_is_json() -> None:
    assert json.loads(json.dumps(DESIGN.shape)) == DESIGN.shape


def test_each_chain_is_drawn_link_by_link_from_what_begins_it_to_its_end() -> None:
    chain = drawn(sheet(of_links(DESIGN, compensating=False), 60))
    boxes = ["trips.begun", "flight", "hotel", "car", "completed"]
    assert [row.split()[1] for row in chain.splitlines() if row.strip().startswith("╭")] == boxes
    assert "publishes hotels.booked" in chain
    back = drawn(sheet(of_links(DESIGN, compensating=True), 60))
    assert "what turns it back" in back
    assert back.index("cars.refused") < back.index("hotel_back") < back.index("flight_back")
    assert "compensated" in back
