"""The event-handler style on paper, from the recorded shape alone."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from amends.domain import events as e
from amends.domain.wire import Outcome
from amends.examples.order.messages import InventoryReserved, OrderPlaced, PaymentCharged
from amends.examples.order_handlers import OrderHandlers
from amends.infrastructure.shapes import plain
from amends.projections.design import failures, outline
from amends.projections.design.canvas import plain as drawn
from amends.projections.design.conduct import Conduct
from amends.projections.design.drawing import drawing
from amends.projections.design.handlers import conduct_facts, handler_rows, message_rows
from amends.projections.design.mermaid import mermaid
from amends.projections.design.page import page
from amends.testing.exploring.rehearsal import rehearse
from tests.domain.fulfilment import Fulfilment
from tests.domain.manager_play import Told

SHAPE = plain(Fulfilment.definition.shape())
DESIGN = outline(SHAPE, "Charge, pack, ship.")
ORDER = plain(OrderHandlers.definition.shape())
REHEARSED = outline(SHAPE, conduct=rehearse(Fulfilment.definition))
PLACED = OrderPlaced(order_id="o1", customer="c", sku="s", quantity=1, total=Decimal(1), country="CH")


def test_the_shape_is_json_and_says_what_is_listened_to_and_sent() -> None:
    assert json.loads(json.dumps(SHAPE)) == SHAPE
    assert (SHAPE["saga"], SHAPE["version"], SHAPE["style"]) == ("fulfilment", 1, "handlers")
    assert [each["subject"] for each in SHAPE["starts"]] == ["orders.ordered", "payments.paid-ahead"]
    assert SHAPE["state"] == ["total", "payment_id", "approvals", "reminded"]
    assert [each["type"] for each in SHAPE["sends"]] == [
        "Charge",
        "Refund",
        "Pack",
        "Unpack",
        "Ship",
        "Invoice",
    ]


def test_each_handler_is_told_with_what_finds_its_saga_and_what_becomes_of_what_finds_none() -> None:
    assert list(handler_rows(DESIGN)) == [
        ("orders.ordered", "ordered", "order_id", "it starts"),
        ("payments.paid-ahead", "paid_ahead", "order_id", "it starts"),
        ("payments.charged", "charged", "its command, or Amends-Key", "kept for 24 h, then a dead letter"),
        ("staff.approved", "approved", "order_id", "kept for 24 h, then a dead letter"),
        ("payments.disputed", "disputed", "payment_id (as payment_id)", "kept for 24 h, then a dead letter"),
        ("warehouse.pack is rejected", "unpackable", "its command", "–"),
        ("the timeout 'approval'", "nobody_approves", "–", "–"),
    ]


def test_each_message_is_told_with_what_answers_it() -> None:
    rows = list(message_rows(DESIGN))
    assert rows[0] == ("sends Charge", "payments.charge", "payments.charged")
    assert rows[1] == ("sends Refund", "payments.refund", "payments.refund.done")
    assert rows[-1] == ("publishes Closed", "orders.closed", "–")


@pytest.mark.semantics("shapes")
def test_page_and_diagram_are_drawn_without_the_code() -> None:
    text = page(DESIGN)
    assert "Started by `orders.ordered` or `payments.paid-ahead`." in text
    assert "| payments.disputed | disputed | payment_id (as payment_id) |" in text
    assert "orders.ordered" in mermaid(DESIGN)


def conduct_of_an_order() -> Conduct:
    """What is found in one history, without the code."""
    told = Told(OrderHandlers, PLACED)
    told.succeed("inventory.reserve", InventoryReserved(order_id="o1"))
    told.succeed("payments.charge", PaymentCharged(payment_id="p1"))
    told.answer("shipping.create", Outcome.REJECTED)
    conduct = Conduct(ORDER)
    conduct.add(told.events)
    conduct.add_order(event for event in told.events if isinstance(event, e.SendRequested))
    return conduct


def test_a_history_tells_what_its_handlers_do_so_that_a_recorded_shape_is_drawn_without_the_code() -> None:
    design = outline(ORDER, conduct=conduct_of_an_order())
    facts = {each["handler"]: each for each in conduct_facts(design)}
    assert [sent["subject"] for sent in facts["placed"]["sends"]] == ["inventory.reserve"]
    assert facts["charged"]["sends"][0]["pivot"] is True
    assert facts["shipped"]["sends"] == []  # never called in this history
    rows = drawn(drawing(design, 60)).splitlines()
    assert any(row.startswith("╔═ charged") for row in rows)
    assert any("↩ payments.refund" in row for row in rows)


def test_a_page_tells_what_each_handler_does_and_each_command_with_what_undoes_it() -> None:
    text = page(outline(ORDER, conduct=rehearse(OrderHandlers.definition)))
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## Overview",
        "## Trigger",
        "## Handlers",
        "## Commands",
        "## How events find their saga",
        "## Flow",
        "## Failures",
    ]
    assert "| shipping.created | shipped | sends notifications.send; completes |" in text
    assert (
        "| charge#2 | reserved | payments | payments.charge | payments.refund | 10 min | 3 | payments.charged |"
    ) in text
    assert "| create#3 (pivot) | charged | shipping | shipping.create | never: it is closed instead |" in text


def test_a_failure_table_of_handlers_has_a_row_for_each_end_of_each_command() -> None:
    found = {
        (f.point, f.what.partition(",")[0]): f.text()
        for f in failures(outline(ORDER, conduct=rehearse(OrderHandlers.definition)))
    }
    assert found["charge#2", "rejected"] == "inventory.release → compensated"
    assert found["charge#2", "no answer"] == "payments.refund → inventory.release → compensated"
    assert found["create#3", "rejected"] == "payments.refund → inventory.release → compensated"
    assert found["create#3", "no answer"].startswith("shipping is asked to close it")
    assert found["closing create#3", "failed or no answer"].startswith(
        "shipping is asked again until it answers"
    )
    assert found["send#4", "rejected"] == "asked again until it is done; parked after 3 attempts"
    assert [what for point, what in found if point == "any step"] == ["the deadline of 24 h passes"]
    assert ("any compensation", "rejected") in found


def test_a_rejection_that_a_handler_is_told_of_is_that_handlers_to_decide() -> None:
    found = {(f.point, f.what): f.text() for f in failures(REHEARSED)}
    assert found["pack#2", "rejected"] == "unpackable decides: publishes orders.closed"
    assert found["charge#1", "rejected"] == "warehouse.unpack → compensated"


def test_a_handler_that_only_the_world_outside_calls_is_drawn_dashed_behind_the_starts() -> None:
    rows = drawn(drawing(REHEARSED, 120)).splitlines()
    assert any("╭╌ disputed" in row for row in rows)
    assert any("╔═ approved" in row for row in rows)
    assert max(map(len, rows)) <= 120
    assert not any("…" in row for row in rows if "payments.charge" in row)


def test_what_no_history_shows_is_said_to_be_unknown() -> None:
    text = page(outline(SHAPE, conduct=Conduct(SHAPE)))
    assert "there is no history of this version here yet" in text
    assert "## Messages" in text
    assert failures(outline(SHAPE, conduct=Conduct(SHAPE))) == []


def test_a_handler_that_raises_for_made_up_events_does_not_keep_the_others_from_being_drawn() -> None:
    def broken(*_: object) -> None:
        raise ValueError("not of this world")

    handles = {**OrderHandlers.definition.on_event, "shipping.created": broken}
    conduct = rehearse(replace(OrderHandlers.definition, on_event=handles))
    facts = {each["handler"]: each for each in conduct_facts(outline(ORDER, conduct=conduct))}
    assert facts["charged"]["sends"]
    assert not facts["shipped"]["completes"]
