"""`amends bench`: how many sagas these servers carry, and how long one takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Console

from amends.cli.bench import programs
from amends.cli.bench.cleaning import remove
from amends.cli.bench.echo import effects_said
from amends.cli.bench.figure import Figure
from amends.cli.bench.load import Load
from amends.cli.bench.measuring import Plan, balanced, measure
from amends.cli.bench.orders import effects
from amends.cli.bench.showing import figures_table
from amends.cli.finding import quiet_settings
from amends.cli.running import execute
from amends.examples.order.books import Balance
from amends.infrastructure.clock import fresh_name
from amends.infrastructure.core import CORE
from amends.infrastructure.embedded import Servers
from amends.infrastructure.settings import Settings

_SUBJECT: Final = "echo service"
_WARM: Final = 5
out = Console()
errors = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out, and whether the books balance."""

    figures: Sequence[Figure]
    books: Sequence[Balance]

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.books)


def bench(
    seconds: Annotated[int, typer.Option(min=0, max=300, help="Seconds of full load; 0 leaves it out.")] = 20,
    light: Annotated[
        int, typer.Option(min=0, max=300, help="Seconds at each light load; 0 leaves them out.")
    ] = 10,
    at_once: Annotated[
        int, typer.Option(min=0, max=10_000, help="Orders placed together; 0 leaves them out.")
    ] = 2_000,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Workers, each a process.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the servers of the settings: sagas a second, and how long one takes.

    Order sagas of which one in ten is undone, with a service that answers at once and keeps nothing: what is measured
    are PostgreSQL, NATS, the worker, and the way between them. It happens in a namespace of its own, which is removed
    afterwards. The exit status is 1 where something was lost or doubled.
    """
    plan = Plan(
        seconds=seconds,
        warm=min(_WARM, seconds),
        rates=(20, 100) if light else (),
        light_seconds=light,
        at_once=at_once,
    )
    measured = execute(run(quiet_settings(), plan, workers, lambda text: errors.print(f"[dim]{text}[/dim]")))
    if as_json:
        out.print_json(
            data={
                "core": CORE,
                "figures": [figure.as_json() for figure in measured.figures],
                "books": [
                    {"what": line.what, "expected": line.expected, "found": line.found}
                    for line in measured.books
                ],
            }
        )
    else:
        out.print(figures_table(measured.figures))
        out.print(f"The worker's core was {CORE}.")
        for line in measured.books:
            sign = "[green]✓[/green]" if line.holds else f"[red]✗ expected {line.expected}[/red]"
            out.print(f"{sign} {line.what}: {line.found}", highlight=False)
    raise typer.Exit(0 if measured.holds else 1)


async def run(settings: Settings, plan: Plan, workers: int, tell: Callable[[str], None]) -> Measured:
    """Measure, with so many workers and the echo service, in a namespace that exists for as long as this takes."""
    own = settings.model_copy(update={"namespace": f"bench_{fresh_name()[:12]}"})
    async with Servers(own, on_progress=tell) as servers:
        try:
            return await _measured(own, plan, workers, tell)
        finally:
            tell("removing what was made")
            await remove(servers.database_url, servers.nats_url, own.namespace)


async def _measured(settings: Settings, plan: Plan, workers: int, tell: Callable[[str], None]) -> Measured:
    tell("starting a worker and the echo service")
    async with programs.running(settings, programs.ECHO, *[programs.WORKER] * workers) as (echo, *_):
        async with Load.open(settings) as load:
            figures = await measure(load, plan, _SUBJECT, tell)
            books = await balanced(load)
        return Measured(figures, [*books, *effects(effects_said(await echo.stop()), load.placed)])
