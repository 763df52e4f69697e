"""`amends bench`: what it measures balances, and nothing of it stays."""

from __future__ import annotations

import signal
from io import StringIO
from uuid import UUID

import psutil
import psycopg
import pytest
from rich.console import Console

from amends.cli.bench.figure import Figure, together
from amends.cli.bench.orders import books, order
from amends.cli.bench.showing import figures_table
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import SagaRow
from tests.cli.conftest import WITHIN, Shell

pytestmark = pytest.mark.usefixtures("alone")


async def left_behind(servers: Servers) -> tuple[list[str], list[str]]:
    """Schemas and streams of measurements that are over."""
    async with await psycopg.AsyncConnection.connect(servers.database_url) as connection:
        found = await connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'bench%'")
        schemas = [name for (name,) in await found.fetchall()]
    async with Broker(servers.nats_url) as broker:
        names: list[str] = (await broker.api.call("STREAM.NAMES"))["streams"] or []
    return schemas, [name for name in names if name.startswith("BENCH")]


def test_a_short_measurement_balances_and_is_told_as_json(bare: Shell) -> None:
    said = bare.amends("bench", "--seconds", "1", "--light", "1", "--at-once", "20", "--json")
    assert said.status == 0, said.errors
    names = {figure["name"]: figure for figure in said.json["figures"]}
    assert list(names) == [
        *(f"latency at {rate}/s, {quantile}" for rate in (20, 100) for quantile in ("p50", "p99", "p99.9")),
        "20 at once, drained",
        "saturated",
    ]
    for figure in names.values():
        assert figure["values"][0] > 0
        assert (figure["median"], figure["min"], figure["max"]) == (figure["values"][0],) * 3
    lines = {line["what"]: line for line in said.json["books"]}
    assert all(line["expected"] == line["found"] for line in lines.values())
    assert lines["effects of payments.refund"]["found"] >= 14
    assert "bench_" not in said.out


async def test_nothing_of_a_measurement_stays(bare: Shell, servers: Servers) -> None:
    assert bare.amends("bench", "--seconds", "0", "--light", "0", "--at-once", "20").status == 0
    assert await left_behind(servers) == ([], [])


async def test_a_measurement_that_is_ended_ends_its_programs_and_leaves_nothing(
    bare: Shell, servers: Servers
) -> None:
    with bare.background("bench", "--seconds", "60", "--light", "0", "--at-once", "20") as process:
        assert process.stderr is not None
        assert any("as many as" in line for line in process.stderr)
        programs = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(WITHIN) == 128 + signal.SIGTERM
    assert len(programs) >= 2
    assert [each for each in programs if each.is_running()] == []
    assert await left_behind(servers) == ([], [])


def test_the_books_show_what_is_missing_and_what_went_another_way() -> None:
    def row(number: int, status: str) -> SagaRow:
        return SagaRow(UUID(int=number), "order", 1, order(number).order_id, status, 9, 9, None)

    right = [row(0, "compensated"), row(1, "completed"), row(2, "completed")]
    assert all(line.holds for line in books(right, 3))
    sagas, ends = books([row(0, "completed"), row(1, "completed")], 3)
    assert (sagas.expected, sagas.found) == (3, 2)
    assert ends.found == ["0000000-x", "0000002-x"]


def test_runs_of_one_figure_are_shown_by_their_median_and_spread() -> None:
    runs = [Figure("A", "saturated", "sagas/s", (value,)) for value in (1500.0, 1750.4, 1600.0)]
    [figure] = together(runs)
    assert figure == Figure.from_json(figure.as_json())
    console = Console(width=100, file=StringIO())
    with console.capture() as shown:
        console.print(figures_table([figure]))
    assert "1,600 sagas/s 1,500 – 1,750" in " ".join(shown.get().split())
