"""The commands that go back in time: the state as it was, what changed, and the whole system at an instant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amends.cli.drawing import standing_table
from amends.cli.finding import opened_queries
from amends.cli.progress import counting
from amends.cli.running import BadInput, execute
from amends.projections.queries import Queries, state_as_json
from amends.projections.travel.facts import Change
from amends.projections.travel.moments import Moment, instant, moment
from amends.projections.travel.replaying import Played
from amends.projections.travel.system import Census

app = typer.Typer()
out = Console()

Id = Annotated[str, typer.Argument(metavar="ID", help="A saga's id, or its business key.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def replay(
    saga: Annotated[
        str,
        typer.Argument(metavar="[ID]", help="A saga's id, or its business key; left out: all, with --at."),
    ] = "",
    at: Annotated[str, typer.Option("--at", help="An instant such as 2026-11-20T12:00, in UTC.")] = "",
    version: Annotated[int | None, typer.Option("--version", help="A version of the saga.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play a saga's history again: each event and what it changed, or the state as it was at a moment.

    Without ID, and with --at: how many sagas were where at that instant.
    """
    execute(_replay(saga, at, version, as_json))


@app.command()
def diff(
    saga: Id,
    before: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="A version such as 7, or an instant such as 2026-11-20T12:00, UTC."
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="A version such as 7, or an instant such as 2026-11-20T12:00, UTC."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """What became different in a saga between two versions or instants."""
    execute(_diff(saga, before, after, as_json))


async def _replay(saga: str, at: str, version: int | None, as_json: bool) -> None:
    if at and version is not None:
        raise BadInput("expected --at or --version, got both; they name one moment each")
    if not saga and not at:
        raise BadInput("expected the id or key of a saga, or --at and an instant for all of them")
    when = instant(at) if at else version
    async with opened_queries() as queries:
        if not saga:
            await _census(queries, at, as_json)
        elif when is None:
            _print_played(await queries.replay(saga), as_json)
        else:
            await _print_state(queries, saga, when, as_json)


async def _print_state(queries: Queries, saga: str, when: Moment, as_json: bool) -> None:
    if as_json:
        out.print_json(data=state_as_json(await queries.state(saga, when)))
    else:
        out.print(standing_table(await queries.stood(saga, when)))


def _print_played(told: Iterable[Played], as_json: bool) -> None:
    if as_json:
        out.print_json(data=[played.as_json() for played in told])
        return
    for played in told:
        event = played.as_json()
        out.print(
            Text.assemble(f"{event['version']:>4}  {event['at'][:23]}  ", (event["sentence"], "bold")),
            soft_wrap=True,
        )
        for change in played.changes:
            out.print(Text.assemble("        ", _changed(change)), soft_wrap=True)


async def _diff(saga: str, before: str, after: str, as_json: bool) -> None:
    first, last = moment(before), moment(after)
    async with opened_queries() as queries:
        changed = await queries.difference(saga, first, last)
    if as_json:
        out.print_json(data=[change.as_json() for change in changed])
        return
    for change in changed:
        out.print(_changed(change), soft_wrap=True)
    if not changed:
        out.print("nothing is different")


def _changed(change: Change) -> Text:
    """`path: before → after`; what came, or went, stands alone."""
    was, became = _value(change.before), _value(change.after)
    if change.before is None:
        return Text.assemble((f"+ {change.path}", "green"), f": {became}")
    if change.after is None:
        return Text.assemble((f"- {change.path}", "red"), f": {was}")
    return Text.assemble((f"~ {change.path}", "yellow"), f": {was} → {became}")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def _census(queries: Queries, at: str, as_json: bool) -> None:
    with counting("folding histories") as progress:
        found = await queries.census(instant(at), progress=progress)
    if as_json:
        out.print_json(data=found.as_json())
    else:
        out.print(_census_table(found))


def _census_table(found: Census) -> Table:
    table = Table(
        "saga", "status", "at", "sagas", box=None, title_justify="left", caption_justify="left",
        title=f"{found.places.total()} sagas at {found.when.isoformat()}",
    )  # fmt: skip
    for place in sorted(found.places):
        table.add_row(place.saga, place.status, place.at, str(found.places[place]))
    told = [f"{found.unborn} had not started by then"]
    if found.unreadable:
        told.append(f"{found.unreadable} cannot be read by this version of Amends")
    table.caption = "; ".join(told)
    return table
