"""The shape of a definition: what is recorded of it once, and how its replies are found."""

from __future__ import annotations

import json

import pytest

from amends.domain.definition import in_order
from amends.domain.saga import Saga, step
from tests.domain.driver import Charge, Charged, Notify, Order, Placed, Play, Released, Reserve, Reserved


@pytest.mark.semantics("shapes")
def test_the_shape_is_json_and_says_what_a_history_is_drawn_from() -> None:
    shape = Order.definition.shape()
    assert json.loads(json.dumps(shape)) == shape
    assert (shape["saga"], shape["version"], shape["key"]) == ("order", 1, ["order_id"])
    assert (shape["start"], shape["deadline"]) == ("orders.placed", 3600.0)
    assert [(s["name"], s["kind"], s["pivot"]) for s in shape["steps"]] == [
        ("reserve", "command", False),
        ("charge", "command", False),
        ("ship", "command", True),
        ("notify", "command", False),
    ]
    assert shape["steps"][3]["compensation"] is None
    assert shape["steps"][0]["compensation"] == {
        "commands": [{"type": "Release", "subject": "inventory.release", "reply": "inventory.released"}],
        "timeout": 10.0,
        "retry": {"attempts": 3, "delay": 1.0, "factor": 2.0, "cap": 10.0, "slow": 100.0},
    }


@pytest.mark.semantics("steps-by-name")
def test_a_step_is_found_wherever_it_stands() -> None:
    class Moved(Saga[Placed], name="order", version=1, key="order_id"):
        """The order's first steps, behind one that the history does not know."""

        @step
        def notify(self) -> Notify:
            return Notify(order_id=self.key)

        @step(after=[])
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

        @step(after=[reserve])
        def charge(self) -> Charge:
            return Charge(order_id=self.key, amount=1)

    play = Play()
    play.definition = Moved.definition
    play.succeed("reserve")
    assert play.state.step("reserve").succeeded
    assert play.sent == ["reserve", "notify", "charge"]
    play.succeed("charge", "notify")
    assert play.status == "completed"


def test_every_subject_on_which_an_answer_can_come() -> None:
    assert Order.definition.reply_subjects() == {
        *("inventory.reserved", "inventory.reserve.rejected", "inventory.reserve.failed"),
        *("inventory.released", "inventory.release.rejected", "inventory.release.failed"),
        *("payments.charged", "payments.charge.rejected", "payments.charge.failed"),
        *("payments.refund.done", "payments.refund.rejected", "payments.refund.failed"),
        *("shipping.ship.done", "shipping.ship.rejected", "shipping.ship.failed"),
        *("mail.notify.done", "mail.notify.rejected", "mail.notify.failed"),
    }


def test_reply_types_by_subject() -> None:
    types = Order.definition.reply_types()
    assert types["inventory.reserved"] is Reserved
    assert types["inventory.released"] is Released
    assert types["payments.charged"] is Charged


@pytest.mark.semantics("steps-by-name")
def test_steps_are_known_by_name() -> None:
    assert Order.definition.step("ship") is Order.definition.pivot
    assert Order.definition.step("charge").name == "charge"


def test_the_shape_tells_the_order_of_the_steps() -> None:
    assert [s["after"] for s in Order.definition.shape()["steps"]] == [[], ["reserve"], ["charge"], ["ship"]]


def test_a_shape_recorded_without_an_order_is_one_step_after_the_other() -> None:
    shape = Order.definition.shape()
    old = {**shape, "steps": [{k: v for k, v in s.items() if k != "after"} for s in shape["steps"]]}
    assert in_order(old) == in_order(shape) == shape
