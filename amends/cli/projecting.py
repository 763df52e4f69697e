"""Running the projections, looking at how far they are, and building them anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from amends.cli.finding import quiet_settings
from amends.cli.listing import moment
from amends.cli.running import execute, on_signal
from amends.infrastructure.embedded import Servers
from amends.infrastructure.logging import configure
from amends.infrastructure.metrics import collecting, serving
from amends.infrastructure.postgres.gauges import ViewGauges
from amends.infrastructure.settings import Settings
from amends.projections.catalogue import PROJECTIONS
from amends.projections.runner import LARGE_BATCH, Runner
from amends.projections.session import Progress as Built
from amends.projections.status import statuses

app = typer.Typer(
    no_args_is_help=True, help="What feeds the views: run it, see how far it is, build a view anew."
)
out = Console()


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[Runner]:
    """Keep the views of these settings up to date beside the body, and tell the metrics what they show."""
    async with Servers(settings) as servers:
        runner = Runner(servers.database_url, settings.namespace)
        async with runner.running():
            with collecting(ViewGauges(servers.database_url, settings.namespace)):
                yield runner


@app.command("run")
def run_projections() -> None:
    """Keep the views up to date. `amends up` and `amends worker` do so, too; run as many as you like."""
    execute(_run())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """How far each projection is, whether a program feeds it, and why one does not go on."""
    execute(_status(as_json))


@app.command()
def rebuild(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Left out: all.")] = None,
) -> None:
    """Build a view anew from the histories, beside the one that is read, and swap it in. Killed, it can be resumed."""
    execute(_rebuild(names or [each.name for each in PROJECTIONS]))


async def _run() -> None:
    settings = Settings()
    configure(settings)
    stopping = asyncio.Event()
    on_signal(stopping.set)
    with serving(settings.metrics):
        async with projecting(settings):
            out.print(f"projections: {', '.join(each.name for each in PROJECTIONS)}")
            out.print("ready; Ctrl-C stops")
            await stopping.wait()


async def _status(as_json: bool) -> None:
    settings = quiet_settings()
    async with Servers(settings) as servers:
        found = await statuses(servers.database_url, settings.namespace)
    if as_json:
        out.print_json(data=found)
        return
    table = Table("projection", "copy", "state", "events", "behind", "since (UTC)", "a second", "", box=None)
    for each in found:
        rate = each["events_per_second"]
        table.add_row(
            each["projection"], str(each["copy"]), each["state"], str(each["events"]), str(each["behind"]),
            moment(each["behind_since"]), f"{rate:,.0f}" if rate else "",
            each["error"] or ("" if each["fed"] else "nobody feeds it: amends projections run"),
        )  # fmt: skip
    out.print(table)


async def _rebuild(names: list[str]) -> None:
    settings = quiet_settings()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("events"),
        TaskProgressColumn(), TextColumn("{task.fields[rate]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(built: Built) -> None:
            task = tasks.setdefault(built.name, shown.add_task(built.name, total=None, rate=""))
            shown.update(task, completed=built.done, total=built.done + built.left, rate=_rate(built))

        async with Servers(settings) as servers:
            runner = Runner(servers.database_url, settings.namespace, batch_size=LARGE_BATCH)
            await runner.rebuild(names, tell)
    out.print(f"rebuilt: {', '.join(names)}")


def _rate(built: Built) -> str:
    if built.rate is None or built.seconds_left is None:
        return ""
    return f"{built.rate:,.0f} a second, {timedelta(seconds=round(built.seconds_left))} left"
