"""One system measured in all its figures, and its books afterwards. The same for `amends bench` and for benchmarks/."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from amends.cli.bench.figure import Figure
from amends.cli.bench.load import MOST, Load
from amends.cli.bench.orders import books
from amends.examples.order.books import Balance

_FIRST: Final = 500
_QUANTILES: Final = {"p50": 500, "p99": 990, "p99.9": 999}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: each of these seconds, at each of these rates a second, so many at once.

    `warm` are the seconds of full load before what is measured of it. What is 0 is left out.
    """

    seconds: float = 20
    warm: float = 5
    rates: tuple[int, ...] = (20, 100)
    light_seconds: float = 10
    at_once: int = 2_000


async def _nothing() -> None:
    return


async def measure(
    load: Load,
    plan: Plan,
    subject: str,
    tell: Callable[[str], None] = lambda _: None,
    edge: Callable[[], Awaitable[None]] = _nothing,
) -> list[Figure]:
    """Latency at light load, many at once, and throughput at saturation; all orders are over when this returns.

    `tell` is told what is being measured. `edge` is called at both ends of the saturated time. Raises `StoodStill`.
    """
    tell("warming up")
    await load.at_once(min(_FIRST, plan.at_once or _FIRST))
    figures: list[Figure] = []
    for rate in plan.rates:
        tell(f"{rate} sagas a second")
        figures += latencies(subject, rate, await load.light(rate, plan.light_seconds))
    if plan.at_once:
        tell(f"{plan.at_once:,} at once")
        took = await load.at_once(plan.at_once)
        figures.append(Figure(subject, f"{plan.at_once:,} at once, drained", "s", (took,)))
    if plan.seconds:
        tell(f"as many as it can take, for {plan.seconds:g} seconds")
        await load.saturated(plan.warm)
        await edge()
        throughput = await load.saturated(plan.seconds)
        await edge()
        figures.append(Figure(subject, "saturated", "sagas/s", (throughput,)))
    return figures


def latencies(subject: str, rate: int, took: list[float]) -> list[Figure]:
    cuts = statistics.quantiles(took, n=1000, method="inclusive")
    return [
        Figure(subject, f"latency at {rate}/s, {name}", "ms", (cuts[place - 1],))
        for name, place in _QUANTILES.items()
    ]


async def balanced(load: Load) -> list[Balance]:
    """Whether every order became one saga that ended as it should."""
    return books(await load.store.saga_rows(saga="order", limit=MOST), load.placed)
