"""`amends dead`: messages that could not be handled, and what can be done about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from amends.cli.finding import opened_queries, opened_store, opened_views, quiet_settings
from amends.cli.listing import After, AsJson, Limit, Older, moment, show_page
from amends.cli.running import execute
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.settings import operator
from amends.projections.dead_letters import discard as discard_letter
from amends.projections.dead_letters import requeue as requeue_letter

app = typer.Typer(
    no_args_is_help=True, help="Messages that could not be handled: look, send again, throw away."
)
out = Console()

_ABOUT: Final = (
    "These are the process manager's. A service keeps its own in the table dead_letters of its database, and tells "
    "them on <namespace>.dead.<participant>."
)

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="The message's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the message.")]
By = Annotated[str, typer.Option("--by", help="Who acts; left out: AMENDS_OPERATOR, or the user's name.")]


@app.command("list")
def list_letters(
    saga: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Of this type, as far as known.")
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="That came on this subject.")] = None,
    older_than: Older = None,
    limit: Limit = 50,
    after: After = "",
    as_json: AsJson = False,
) -> None:
    """List dead letters of the process manager, the latest first. A service keeps its own in its database."""
    filters = {"saga": saga, "subject": subject, "older_than": older_than}
    show_page(lambda queries: queries.dead_letters(filters, after, limit), _table, as_json, _ABOUT)


@app.command()
def show(message: MessageId, as_json: AsJson = False) -> None:
    """All that is known of a dead letter."""
    execute(_show(message, as_json))


@app.command()
def requeue(message: MessageId, reason: Reason, by: By = "") -> None:
    """Send a dead letter again to where it came from. If it cannot be handled again, it comes back."""
    execute(_requeue(message, by, reason))


@app.command()
def discard(message: MessageId, reason: Reason, by: By = "") -> None:
    """Take a dead letter off the list; it is kept beside it, with who did so and why."""
    execute(_discard(message, by, reason))


async def _show(message: str, as_json: bool) -> None:
    async with opened_queries() as queries:
        letter = await queries.dead_letter(message)
    if as_json:
        out.print_json(data=letter)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for name in (
        "message_id",
        "at",
        "reason",
        "subject",
        "consumer",
        "sequence",
        "received",
        "saga",
        "saga_id",
    ):
        grid.add_row(name.replace("_", " "), Text(str(letter[name] or "")))
    headers = Table("header", "", box=None)
    for name, value in letter["headers"].items():
        headers.add_row(name, Text(value, overflow="fold"))
    out.print(Group(grid, "", headers, "", Text(letter["body"])))


async def _requeue(message: str, by: str, reason: str) -> None:
    settings = quiet_settings()
    async with opened_store(settings) as store, opened_views(settings) as views, Servers(settings) as servers:
        broker = Broker(servers.nats_url, name="amends dead", namespace=settings.namespace)
        async with broker:
            by = by or operator(settings)
            await requeue_letter(views, store, broker.publisher(), message, by=by, reason=reason)
    out.print("sent again", highlight=False)


async def _discard(message: str, by: str, reason: str) -> None:
    settings = quiet_settings()
    async with opened_views(settings) as views:
        await discard_letter(views, message, by=by or operator(settings), reason=reason)
    out.print("discarded", highlight=False)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("message", "at (UTC)", "subject", "why", box=None)
    for row in rows:
        table.add_row(
            Text(row["message_id"], overflow="fold"), moment(row["at"]), Text(row["subject"], overflow="fold"),
            Text(row["reason"]),
        )  # fmt: skip
    return table
