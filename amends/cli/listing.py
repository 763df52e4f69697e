"""The commands that list: sagas, and those that stand still."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from amends.cli.durations import duration
from amends.cli.finding import opened_queries
from amends.cli.running import BadInput, execute
from amends.infrastructure.clock import SystemClock
from amends.projections.paging import Page
from amends.projections.queries import Queries
from amends.projections.sagas.standing import REASONS
from amends.projections.timeline.scale import elapsed

_TYPE: Final = re.compile(r"(?P<saga>[a-z][a-z0-9_-]*)(@(?P<version>[0-9]{1,9}))?")

app = typer.Typer()
out = Console()

Type = Annotated[str, typer.Option("--type", metavar="TYPE", help="A type, or a version of it: order@1.")]
Status = Annotated[str | None, typer.Option("--status", help="running, compensating, completed …")]
Older = Annotated[
    timedelta | None,
    typer.Option("--older-than", parser=duration, metavar="TIME", help="Such as 90s, 5m, 2h, 3d."),
]
After = Annotated[str, typer.Option("--after", metavar="CURSOR", help="Where the page before ended.")]
Limit = Annotated[int, typer.Option("--limit", help="Rows of a page.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_sagas(
    saga: Type = "",
    status: Status = None,
    key: Annotated[str | None, typer.Option("--key", help="Of this business key.")] = None,
    older_than: Older = None,
    limit: Limit = 50,
    after: After = "",
    as_json: AsJson = False,
) -> None:
    """List sagas, those first that started last."""
    filters = {**type_filter(saga), "status": status, "key": key, "older_than": older_than}
    show_page(lambda queries: queries.sagas(filters, after, limit), saga_table, as_json)


@app.command()
def stuck(
    saga: Type = "",
    reason: Annotated[str | None, typer.Option("--reason", help=f"One of {', '.join(REASONS)}.")] = None,
    older_than: Older = None,
    limit: Limit = 50,
    after: After = "",
    as_json: AsJson = False,
) -> None:
    """List unfinished sagas, stalest first: why each stands where it stands, since when, and what would help."""
    filters = {**type_filter(saga), "reason": reason, "older_than": older_than}
    show_page(lambda queries: queries.stuck(filters, after, limit), stuck_table, as_json)


def type_filter(named: str) -> dict[str, Any]:
    """`order` or `order@1` as filters. Prints an error and ends the program for anything else."""
    if not named:
        return {}
    match = _TYPE.fullmatch(named)
    if match is None:
        execute(_refuse(f"expected a type such as order, or a version such as order@1, got {named!r}"))
        return {}
    return {"saga": match["saga"], "definition": int(match["version"]) if match["version"] else None}


async def _refuse(text: str) -> None:
    raise BadInput(text)


def show_page(
    read: Callable[[Queries], Awaitable[Page]],
    draw: Callable[[Sequence[dict[str, Any]]], RenderableType],
    as_json: bool,
    about: str = "",
) -> None:
    """Print a page, what is to be said `about` it, and how to come to the next."""
    page = execute(_page(read))
    if as_json:
        out.print_json(data=page.as_json())
        return
    notes = [Text(row["help"], "dim") for row in page.rows if row.get("help")]
    if page.behind:
        notes.append(
            Text(f"{page.behind} events are not shown yet; `amends projections status` tells why", "yellow")
        )
    if about:
        notes.append(Text(about, "dim"))
    if page.next:
        notes.append(Text(f"more: --after {page.next}", "dim"))
    out.print(draw(page.rows) if page.rows else "none")
    for note in notes:
        out.print(note, soft_wrap=True)  # as it is, to be copied


async def _page(read: Callable[[Queries], Awaitable[Page]]) -> Page:
    async with opened_queries() as queries:
        return await read(queries)


def saga_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("saga", "key", "status", "started (UTC)", "about", "last error", box=None)
    for row in rows:
        status = f"{row['status']}, suspended" if row["suspended"] else row["status"]
        status = f"{status}, in quarantine" if row["quarantined_at"] else status
        table.add_row(
            f"{row['saga']}@{row['definition']}", Text(row["key"], overflow="fold"), status, moment(row["started"]),
            ", ".join(row["current_steps"]), Text(row["last_error"]),
        )  # fmt: skip
    return table


def stuck_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Why each stands still; what would help is said below, so that it can be copied."""
    now = SystemClock().now()
    table = Table("for", "saga", "key", "why", box=None)
    for row in rows:
        about = f": {row['step']}" if row["step"] else ""
        detail = f" ({row['detail']})" if row["detail"] else ""
        stands = elapsed(now - datetime.fromisoformat(row["since"]))
        why = Text.assemble((row["reason"], "yellow"), f"{about}{detail}", overflow="fold")
        table.add_row(stands, f"{row['saga']}@{row['definition']}", Text(row["key"], overflow="fold"), why)
    return table


def timers_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("due (UTC)", "saga", "key", "timer", box=None)
    for row in rows:
        doing = {"compensate": "undo ", "close": "close "}.get(row["direction"] or "", "")
        about = f"{row['kind']} {doing}{row['step'] or ''}".strip()
        held = f" (not applied while suspended: {row['suspended']})" if row["suspended"] else ""
        key = Text(row["key"], overflow="fold")
        table.add_row(
            moment(row["due"], "milliseconds"),
            f"{row['saga']}@{row['definition']}",
            key,
            Text(f"{about}{held}"),
        )
    return table


def moment(iso: str | None, timespec: str = "seconds") -> str:
    """A time to the second, or as `isoformat` calls it; nothing where there is none."""
    return datetime.fromisoformat(iso).replace(tzinfo=None).isoformat(" ", timespec) if iso else ""
