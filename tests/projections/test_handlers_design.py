"""The event-handler style on paper, from the recorded shape alone."""

from __future__ import annotations

import json

import pytest

from amends.infrastructure.shapes import plain
from amends.projections.design import outline
from amends.projections.design.handlers import handler_rows, message_rows
from amends.projections.design.mermaid import mermaid
from amends.projections.design.page import page
from tests.domain.fulfilment import Fulfilment

SHAPE = plain(Fulfilment.definition.shape())
DESIGN = outline(SHAPE, "Charge, pack, ship.")


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
