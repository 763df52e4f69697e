"""`amends describe`: what is written, and what is refused."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from amends.cli.app import app
from amends.examples.order import Order
from amends.examples.order.messages import InventoryReserved, OrderPlaced
from amends.examples.order_handlers import OrderHandlers
from amends.infrastructure.embedded import Servers
from amends.infrastructure.postgres.store import PostgresStore
from tests.domain.manager_play import Told
from tests.infrastructure.store_data import batch

ORDER = "amends.examples.order:Order"


def describe(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["describe", *arguments], env=environment)


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_terminal_shows_drawing_and_failure_table_within_its_width(columns: str) -> None:
    shown = describe(ORDER, COLUMNS=columns)
    assert shown.exit_code == 0
    assert "╔═ create_shipment (pivot)" in shown.stdout
    assert "compensation chain" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= int(columns)


def test_json_gives_every_design_of_a_module() -> None:
    given = json.loads(describe("amends.examples.order", "--json").stdout)
    assert [each["design"]["saga"] for each in given] == ["order"]
    assert given[0]["about"] == "Reserve, charge, ship, notify."
    refund = given[0]["failures"][3]["chain"]
    assert [[undo["step"] for undo in row] for row in refund] == [["charge_payment"], ["reserve_inventory"]]


def test_a_page_is_written_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "order.md"
    assert describe(ORDER, "--format", "markdown", "--output", str(target)).exit_code == 0
    assert target.read_text(encoding="utf-8").startswith("# order@1\n")


@pytest.mark.parametrize("format", ["terminal", "markdown", "mermaid", "json"])
def test_a_choreography_shows_its_chain_and_its_compensation_chain(format: str) -> None:  # noqa: A002
    shown = describe("amends.examples.travel_choreographed", "--format", format, COLUMNS="150").stdout
    assert all(
        each in shown for each in ("inn.booked", "inn.compensated", "airline.compensated", "no_flight")
    )


def test_a_module_without_sagas_is_refused_with_the_mend() -> None:
    refused = describe("amends.examples.order.messages")
    assert refused.exit_code == 1
    assert "expected a Saga in 'amends.examples.order.messages'" in refused.stderr
    assert "order@1" in refused.stderr


@pytest.mark.semantics("shapes")
async def test_a_recorded_design_is_drawn_without_its_code(
    servers: Servers, database: str, namespace: str
) -> None:
    async with PostgresStore.open(database, namespace) as store:
        await store.register([Order.definition.shape()])
    where = {
        "AMENDS_DATABASE_URL": database,
        "AMENDS_NATS_URL": servers.nats_url,
        "AMENDS_NAMESPACE": namespace,
    }
    shown = await _outside_the_loop("order@latest", **where)
    assert shown.exit_code == 0, shown.stderr
    assert "charge_payment" in shown.stdout
    unknown = await _outside_the_loop("order@9", **where)
    assert unknown.exit_code == 1
    assert "expected a saga type that was run here before (order@1), got order@9" in " ".join(
        unknown.stderr.split()
    )


async def test_a_recorded_process_manager_is_drawn_by_what_its_handlers_did(
    servers: Servers, database: str, namespace: str
) -> None:
    placed = OrderPlaced(order_id="o1", customer="c", sku="s", quantity=1, total=Decimal(1), country="CH")
    told = Told(OrderHandlers, placed)
    told.succeed("inventory.reserve", InventoryReserved(order_id="o1"))
    where = {
        "AMENDS_DATABASE_URL": database,
        "AMENDS_NATS_URL": servers.nats_url,
        "AMENDS_NAMESPACE": namespace,
    }
    async with PostgresStore.open(database, namespace) as store:
        await store.register([OrderHandlers.definition.shape()])
        unknown = await _outside_the_loop("order-handlers@1", **where)
        assert "there is no history of this version here yet" in " ".join(unknown.stdout.split())
        await store.commit(batch((told.aggregate, 0)))
    shown = await _outside_the_loop("order-handlers@1", "--json", **where)
    assert shown.exit_code == 0, shown.stderr
    handlers = {each["handler"]: each for each in json.loads(shown.stdout)[0]["handlers"]}
    assert handlers["reserved"]["sends"][0]["undo"] == "payments.refund"
    assert "╭─ reserved ─" in (await _outside_the_loop("order-handlers@1", **where)).stdout


async def _outside_the_loop(*arguments: str, **environment: str) -> Result:
    """A command runs a loop of its own."""
    return await asyncio.to_thread(describe, *arguments, **environment)
