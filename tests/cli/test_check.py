"""`amends check`: what it prints, and its exit status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from amends.cli.app import app

ORDER = "amends.examples.order:Order"

NEEDS_REPLY = """
from amends import Command, Event, Saga, step


class Went(Event, subject="shop.went"):
    order_id: str


class Paid(Event, subject="pay.paid"):
    payment: str


class Pay(Command[Paid], subject="pay.pay"):
    pass


class Refund(Command, subject="pay.refund"):
    payment: str


class Shop(Saga[Went], name="shop", version=1, key="order_id"):
    @step
    def pay(self) -> Pay:
        return Pay()

    @pay.compensate
    def refund(self) -> Refund:
        return Refund(payment=self.reply(Shop.pay).payment)
"""


def check(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env=environment)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "needs_reply.py").write_text(NEEDS_REPLY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "needs_reply", raising=False)
    return "needs_reply:Shop"


def test_a_saga_that_settles_shows_its_failure_table_and_ends_with_0() -> None:
    checked = check(ORDER, COLUMNS="80")
    assert checked.exit_code == 0
    assert "every way settles or parks" in checked.stdout
    assert max(len(line) for line in checked.stdout.splitlines()) <= 80


def test_a_way_that_does_not_settle_is_shown_and_ends_with_1(shop: str) -> None:
    checked = check(shop, COLUMNS="120")
    assert checked.exit_code == 1
    lines = [line.strip() for line in checked.stdout.splitlines()]
    assert lines[2:4] == ["the shortest way that does not settle:", "1  shop.went starts it"]
    assert "2  cancelled" in lines
    assert any(line.startswith("✗  NoReply: step 'pay' has no reply") for line in lines)


def test_json_holds_the_verdict_the_table_and_the_trace(shop: str) -> None:
    (good,) = json.loads(check(ORDER, "--json").stdout)
    assert (good["saga"], good["settles"], good["ends"]) == ("order", True, ["compensated", "completed"])
    assert good["failures"][3]["chain"][0][0]["action"] == "payments.refund"
    (bad,) = json.loads(check(shop, "--json").stdout)
    assert bad["settles"] is False
    assert [each["move"] for each in bad["problems"][0]["trace"]] == ["shop.went starts it", "cancelled"]


def test_a_start_event_of_ones_own_is_explored_alone(tmp_path: Path) -> None:
    order = {"order_id": "o-1", "customer": "c", "sku": "s", "quantity": 1, "total": "9", "country": "CH"}
    (tmp_path / "order.json").write_text(json.dumps(order))
    (found,) = json.loads(check(ORDER, "--json", "--input", str(tmp_path / "order.json")).stdout)
    assert found["starts"] == 1


def test_a_start_event_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text("{}")
    refused = check(ORDER, "--input", str(tmp_path / "order.json"))
    assert refused.exit_code == 1
    assert "BadInput: expected the start event of order" in " ".join(refused.stderr.split())


def test_more_states_than_allowed_prove_nothing() -> None:
    refused = check(ORDER, "--limit", "50")
    assert refused.exit_code == 1
    assert "TooLarge: expected order@1 to have at most 50 states" in " ".join(refused.stderr.split())


def test_every_way_of_a_choreography_is_explored() -> None:
    checked = check("amends.examples.travel_choreographed:TravelChoreographed", COLUMNS="150")
    assert checked.exit_code == 0
    assert "every way settles or parks" in checked.stdout
    assert "publishes rental.failed → inn: inn.compensated" in checked.stdout
