"""Where a process manager stands, and what will wake it: told from its history alone."""

from __future__ import annotations

from amends.projections.story import sentence, standing
from amends.projections.timers import timers
from tests.domain.fulfilment import Charged, Fulfilment, Ordered
from tests.domain.manager_play import Told


def fulfilment() -> Told:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    told.succeed("payments.charge", Charged(payment_id="p1"))
    return told


def test_where_it_stands_tells_what_its_handlers_know() -> None:
    told = fulfilment()
    facts = standing(told.state, len(told.history))
    assert facts["state"] == {"total": 100, "payment_id": "p1"}
    assert facts["timeouts"] == {"approval": "2026-01-02T00:00:00+00:00"}
    assert facts["known_as"] == ["payment_id p1"]
    assert facts["steps"] == {"charge#1": "done", "pack#2": "asked for, not answered yet"}
    assert "clashes" not in facts


def test_its_timeouts_are_among_its_timers() -> None:
    named = [(timer["timer"], timer["step"]) for timer in timers(fulfilment().state)]
    assert named == [("pack#2", "pack#2"), ("timeout approval", "approval"), ("deadline", "")]


def test_its_history_reads_as_sentences() -> None:
    told = [sentence(event) for event in fulfilment().events]
    assert told[:5] == [
        "fulfilment o1 started, because of the event orders.ordered",
        "heard of orders.ordered",
        "decided to send payments.charge, as charge#1",
        "decided to send warehouse.pack, as pack#2",
        "set the timeout 'approval' to 2026-01-02 00:00:00.000 UTC",
    ]
    assert told[-1] == "is known by payment_id p1, too"
