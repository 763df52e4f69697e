"""The commands that tell of sagas: where they stand, and what happened."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from amends.cli.drawing import history_table, standing_table, unclaimed_table
from amends.cli.finding import opened_queries, opened_store, quiet_settings
from amends.cli.running import execute

app = typer.Typer()
out = Console()

Id = Annotated[str, typer.Argument(metavar="ID", help="A saga's id, or its business key.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(saga: Id, as_json: AsJson = False) -> None:
    """Where a saga stands, what it waits for and since when."""
    execute(_show(saga, as_json))


@app.command()
def history(saga: Id, as_json: AsJson = False) -> None:
    """Every event of a saga, and who and what caused it."""
    execute(_history(saga, as_json))


@app.command()
def unclaimed(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100, as_json: AsJson = False
) -> None:
    """Events that found no saga, and what became of each: ignored, kept or dead; the latest first."""
    execute(_unclaimed(limit, as_json))


async def _unclaimed(limit: int, as_json: bool) -> None:
    async with opened_store(quiet_settings()) as store:
        found = await store.unclaimed(limit)
    if as_json:
        out.print_json(data=[{**asdict(each), "at": each.at and each.at.isoformat()} for each in found])
    else:
        out.print(unclaimed_table(found))


async def _show(saga: str, as_json: bool) -> None:
    async with opened_queries() as queries:
        facts = await queries.standing(saga)
    if as_json:
        out.print_json(data=facts)
    else:
        out.print(standing_table(facts))


async def _history(saga: str, as_json: bool) -> None:
    async with opened_queries() as queries:
        row = await queries.find(saga)
        told = await queries.story(str(row.saga_id))
    if as_json:
        out.print_json(data=told)
    else:
        out.print(history_table(row, told))
