"""A round in small: the books balance, and every cost is told."""

from __future__ import annotations

from amends.cli.bench.measuring import Plan
from benchmarks.servers import temporary
from benchmarks.systems import Round, Scale, real

TINY = Scale(
    Plan(seconds=1, warm=1, rates=(20,), light_seconds=1, at_once=20),
    counted=20, together=20, synced=1, machine=0.1, messages=100, prototype=20,
    prototype_synced=20, prototype_services=20, dbos=10, events=2_000,
)  # fmt: skip


async def test_the_real_services_balance_and_what_a_saga_costs_is_told() -> None:
    told: list[str] = []
    async with temporary() as (settings, _):
        figures = await real(Round(1, settings, TINY, None, told.append))
    bare, *figures = figures
    assert (bare.subject, bare.name) == ("prototype, four services", "saturated")
    assert {figure.subject for figure in figures} == {"B"}
    values = {figure.name: figure.median for figure in figures}
    assert values.pop("lost or doubled") == 0
    values.pop("memory that a worker gained meanwhile")
    assert all(value > 0 for value in values.values()), values
    assert {"saturated", "20 at once, drained", "latency at 20/s, p99", "SQL statements", "WAL"} <= set(
        values
    )
    assert {
        f"CPU, {name}" for name in ("workers", "four services", "PostgreSQL", "NATS", "client", "all")
    } <= set(values)
    assert "as many as it can take, for 1 seconds" in told
