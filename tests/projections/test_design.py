"""A design on paper: the drawing, the diagram, the page and the failure table, all from a shape alone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from amends import Command, Event, Foreign, Retry, Saga, announce, step, wait_for
from amends.examples.order import Order
from amends.projections.design import NotADesign, failures, outline
from amends.projections.design.canvas import plain
from amends.projections.design.drawing import drawing
from amends.projections.design.mermaid import mermaid
from amends.projections.design.outline import duration
from amends.projections.design.page import page


class Booked(Event, subject="trips.booked"):
    trip_id: str


class Reserve(Command, subject="hotel.reserve"):
    pass


class Release(Command, subject="hotel.release"):
    pass


class Hold(Command, subject="flight.hold"):
    pass


class Free(Command, subject="flight.free"):
    pass


class Pay(Command, subject="payments.pay"):
    pass


class Trip(Saga[Booked], name="trip", version=3, key="trip_id", deadline=timedelta(days=2)):
    """Two bookings side by side, then the payment."""

    @step(after=[])
    def hotel(self) -> Reserve:
        return Reserve()

    @hotel.compensate
    def release_hotel(self) -> Release:
        return Release()

    @step(after=[])
    def flight(self) -> Hold:
        return Hold()

    @flight.compensate
    def free_flight(self) -> Free:
        return Free()

    @step(after=[hotel, flight], pivot=True)
    def payment(self) -> Pay:
        return Pay()


TRIP = outline(Trip.definition.shape())
ORDER = outline(json.loads(json.dumps(Order.definition.shape())))


def test_branches_are_drawn_side_by_side_and_the_pivot_in_a_frame_of_its_own() -> None:
    rows = plain(drawing(TRIP, 60)).splitlines()
    beside = next(row for row in rows if "─ hotel ─" in row)
    assert "─ flight ─" in beside
    assert "↩ hotel.release" in rows[rows.index(beside) + 3]
    assert "↩ flight.free" in rows[rows.index(beside) + 3]
    fork, arrows = rows[rows.index(beside) - 2 : rows.index(beside)]
    assert (fork.strip()[0], fork.count("┴"), fork.strip()[-1]) == ("╭", 1, "╮")
    assert arrows.count("▼") == 2
    assert any(row.strip().startswith("╔═ payment (pivot)") for row in rows)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_drawing_keeps_to_its_width(width: int) -> None:
    assert max(map(len, plain(drawing(TRIP, width)).splitlines())) <= width


def test_an_edge_over_several_rows_passes_beside_the_boxes_between() -> None:
    shape = {
        "saga": "long",
        "version": 1,
        "steps": [
            {"name": "a", "after": []},
            {"name": "b", "after": ["a"]},
            {"name": "side", "after": []},
            {"name": "end", "after": ["b", "side"]},
        ],
    }
    rows = plain(drawing(outline(shape), 60)).splitlines()
    beside = next(row for row in rows if "─ b ─" in row)
    assert beside.rstrip().endswith("│")
    assert sum("─ side ─" in row for row in rows) == 1


def test_the_failure_table_undoes_in_reverse_order_and_the_step_itself_only_if_it_may_have_happened() -> None:
    table = {(f.point, f.what.partition(",")[0]): f.text() for f in failures(ORDER)}
    assert table["charge_payment", "rejected"] == "inventory.release → compensated"
    assert table["charge_payment", "no answer"] == "payments.refund → inventory.release → compensated"
    assert table["create_shipment", "rejected"] == "payments.refund → inventory.release → compensated"


def test_what_runs_beside_a_failed_step_is_undone_where_it_had_begun() -> None:
    table = {(f.point, f.what.partition(",")[0]): f.text() for f in failures(TRIP)}
    assert table["hotel", "rejected"] == "flight.free → compensated"
    assert table["hotel", "no answer"] == "hotel.release ‖ flight.free → compensated"
    assert table["payment", "rejected"] == "hotel.release ‖ flight.free → compensated"


def test_what_may_not_have_begun_stands_in_brackets() -> None:
    steps = [{"name": "a", "after": []}, {"name": "b", "after": ["a"]}, {"name": "side", "after": []}]
    undo = [
        {**step, "compensation": {"commands": [{"subject": f"undo.{step['name']}", "type": "U"}]}}
        for step in steps
    ]
    table = failures(outline({"saga": "side", "version": 1, "steps": undo}))
    assert next(f.text() for f in table if f.point == "side") == "(undo.b) → undo.a → compensated"


def test_the_pivot_is_closed_and_what_comes_after_it_goes_only_forward() -> None:
    by_point = {f.point: f.then for f in failures(ORDER)}
    assert "asked to close it" in by_point["create_shipment"]
    assert by_point["send_notification"] == "asked again until it is done; parked after 3 attempts"


def test_a_mermaid_diagram_has_a_node_for_each_step_and_each_compensation() -> None:
    source = mermaid(ORDER)
    assert source.startswith("flowchart TD\n")
    assert 's3{{"<b>create_shipment</b>' in source
    assert "    s2 --> s3\n" in source
    assert "    u2 -.-> u1\n" in source
    assert "    u1 -.-> compensated\n" in source


def test_a_page_has_overview_trigger_steps_flow_and_failures() -> None:
    text = page(outline(Order.definition.shape(), "Sells things."))
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == ["# order@1", "## Overview", "## Trigger", "## Steps", "## Flow", "## Failures"]
    assert "Sells things." in text
    assert (
        "| 1 | reserve_inventory | the start | inventory | `inventory.reserve` | `inventory.release` |"
        in text
    )
    assert "Deadline: 24 h after the start." in text


def test_a_shape_that_was_recorded_before_steps_had_an_order_reads_as_a_line() -> None:
    old = Order.definition.shape()
    old["steps"] = [{k: v for k, v in each.items() if k != "after"} for each in old["steps"]]
    assert plain(drawing(outline(old))) == plain(drawing(ORDER))


def test_steps_that_wait_for_each_other_cannot_be_drawn() -> None:
    shape = {
        "saga": "knot",
        "version": 1,
        "steps": [{"name": "a", "after": ["b"]}, {"name": "b", "after": ["a"]}],
    }
    with pytest.raises(NotADesign, match=r"knot@1: expected every step .* got a, b, which can never begin"):
        outline(shape)


class Answered(Event, subject="hosts.answered"):
    trip_id: str


class CarBooked(Event, subject="cars.booked"):
    trip_id: str


class BookCar(Command[CarBooked], subject="cars.book"):
    pass


class GaveUp(Event, subject="trips.gave-up"):
    pass


class Stay(Saga[Booked], name="stay", version=1, key="trip_id"):
    host = wait_for(Answered, timeout=timedelta(hours=24), key="trip_id")

    @step(after=[host], ask_again=[timedelta(days=1)])
    def hotel(self) -> Reserve:
        return Reserve()

    @hotel.compensate
    def release(self) -> Release:
        return Release()

    @hotel.when_rejected
    def give_up(self) -> GaveUp:
        return GaveUp()

    @step(pivot=True, foreign=Foreign(key="trip_id"), retry=Retry(attempts=1))
    def car(self) -> BookCar:
        return BookCar()

    reviewed = wait_for(Answered, timeout=timedelta(days=7), key="trip_id", on_timeout="skip")

    @announce
    def tell(self) -> GaveUp:
        return GaveUp()


def test_waits_rounds_foreign_services_and_announcements_have_their_rows() -> None:
    design = outline(json.loads(json.dumps(Stay.definition.shape())))
    table = [(f.point, f.what, f.text()) for f in failures(design) if f.point != "any step"]
    unanswered = "no answer, or a technical failure, after"
    assert table[:-1] == [
        ("host", "no hosts.answered within 24 h, or one that says no", "nothing to undo → compensated"),
        (
            "hotel",
            "rejected, and again after 24 h",
            "publishes trips.gave-up → nothing to undo → compensated",
        ),
        ("hotel", f"{unanswered} 3 attempts", "hotel.release → compensated"),
        (
            "car",
            f"{unanswered} 1 attempt",
            "parked for a person, who finds out: a foreign service cannot be asked to close it",
        ),
        ("reviewed", "no hosts.answered within 7 d", "the step is skipped"),
    ]
    drawn = plain(drawing(design))
    for line in ("waits for hosts.answered", "30 s × 3, again after 24 h", "cars.book (foreign)"):
        assert line in drawn
    assert "| publishes `trips.gave-up` | cannot be taken back |" in page(design)
    assert 's5>"<b>tell</b><br/>trips.gave-up"]:::step' in mermaid(design)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "500 ms"),
        (90, "1 min 30 s"),
        (1800, "30 min"),
        (86_400, "24 h"),
        (3 * 86_400, "3 d"),
        (90_000, "25 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
