"""The commands by which an operator acts on a saga."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from amends.cli.durations import duration
from amends.cli.finding import find_saga, opened_store, quiet_settings
from amends.cli.listing import After, Limit, show_page, timers_table, type_filter
from amends.cli.running import execute
from amends.client import Client
from amends.domain.evolve import fold
from amends.infrastructure.clock import SystemClock
from amends.projections.timers import timers as timers_of

app = typer.Typer()
out = Console()

Id = Annotated[str, typer.Argument(metavar="ID", help="A saga's id, or its business key.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="The step's name.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded in the saga's history.")]
By = Annotated[str, typer.Option("--by", help="Who acts; left out: AMENDS_OPERATOR, or the user's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Outcome(StrEnum):
    """What can have become of a step."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"


@app.command()
def suspend(saga: Id, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Send nothing any more and let no timer fire; answers are still recorded."""
    _act(saga, as_json, lambda client, id_: client.suspend(id_, reason=reason, by=by))


@app.command()
def resume(saga: Id, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Let a suspended saga go on, and decide all that came meanwhile."""
    _act(saga, as_json, lambda client, id_: client.resume(id_, reason=reason, by=by))


@app.command()
def retry(
    saga: Id,
    reason: Reason,
    step: Annotated[str, typer.Argument(metavar="[STEP]", help="Left out: all that wait for a retry.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Send the next attempt now."""
    _act(saga, as_json, lambda client, id_: client.retry(id_, step, reason=reason, by=by))


@app.command()
def skip(saga: Id, step: StepName, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Go on behind a step without it. If it was asked for, it may have happened, and counts so."""
    _act(saga, as_json, lambda client, id_: client.skip(id_, step, reason=reason, by=by))


@app.command()
def settle(
    saga: Id,
    step: StepName,
    outcome: Annotated[
        Outcome,
        typer.Argument(metavar="OUTCOME", help="succeeded: it happened; rejected: it did not, and will not."),
    ],
    reason: Reason,
    compensation: Annotated[
        bool, typer.Option("--compensation", help="What the step did is undone.")
    ] = False,
    reply: Annotated[str, typer.Option(help="What the service would have answered, as JSON.")] = "{}",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Say what became of a step, or that what it did is undone."""
    body = _json(reply)
    _act(
        saga,
        as_json,
        lambda client, id_: client.settle(
            id_, step, outcome.value, reason=reason, compensation=compensation, reply=body, by=by
        ),
    )


@app.command()
def cancel(saga: Id, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """Undo a saga before its pivot, or close the pivot where that is out; refused after it."""
    _act(saga, as_json, lambda client, id_: client.cancel(id_, reason=reason, by=by))


@app.command()
def abandon(saga: Id, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """End a saga as failed; its history lists every effect left and every key unresolved."""
    _act(saga, as_json, lambda client, id_: client.abandon(id_, reason=reason, by=by))


@app.command()
def release(saga: Id, reason: Reason, by: By = "", as_json: AsJson = False) -> None:
    """End the quarantine of a saga that could not be decided, and try again what is held for it."""
    _act(saga, as_json, lambda client, id_: client.release(id_, reason=reason, by=by))


@app.command()
def migrate(
    saga: Id,
    to: Annotated[int, typer.Option("--to", help="The version to go on under.")],
    reason: Reason,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Let a saga go on under a newer version, where that version's author wrote how."""
    _act(saga, as_json, lambda client, id_: client.migrate(id_, to, reason=reason, by=by))


@app.command()
def timers(
    saga: Annotated[
        str, typer.Argument(metavar="[ID]", help="A saga's id or key; left out: all sagas.")
    ] = "",
    of_type: Annotated[
        str, typer.Option("--type", help="Of all sagas: only those of this type, or version of it: order@1.")
    ] = "",
    limit: Limit = 50,
    after: After = "",
    as_json: AsJson = False,
) -> None:
    """What a saga will be woken by, and when; or all timers, those first that fall due first."""
    if saga:
        execute(_timers(saga, as_json))
    else:
        filters = type_filter(of_type)
        show_page(lambda queries: queries.timers(filters, after, limit), timers_table, as_json)


@app.command()
def reschedule(
    saga: Id,
    reason: Reason,
    step: Annotated[str, typer.Argument(metavar="[STEP]", help="Left out: the deadline.")] = "",
    after: Annotated[
        timedelta | None, typer.Option("--in", parser=duration, metavar="TIME", help="From now: 90s, 5m, 2h.")
    ] = None,
    at: Annotated[datetime | None, typer.Option("--at", help="When; UTC.")] = None,
    never: Annotated[bool, typer.Option("--never", help="Cancel the timer.")] = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Move or cancel the timer of a step, or the deadline."""
    if [after is None, at is None, not never].count(False) != 1:
        raise typer.BadParameter("expected one of --in, --at and --never")
    due = at.replace(tzinfo=UTC) if at else None
    due = SystemClock().now() + after if after else due
    _act(saga, as_json, lambda client, id_: client.reschedule(id_, step, due=due, reason=reason, by=by))


def _act(saga: str, as_json: bool, action: Callable[[Client, UUID], Awaitable[None]]) -> None:
    execute(_do(saga, as_json, action))


async def _do(saga: str, as_json: bool, action: Callable[[Client, UUID], Awaitable[None]]) -> None:
    settings = quiet_settings()
    async with Client(settings) as client, opened_store(settings) as store:
        row = await find_saga(store, saga)
        await action(client, row.saga_id)
        row = await find_saga(store, str(row.saga_id))
    facts = {"id": str(row.saga_id), "saga": row.saga, "key": row.key, "status": row.status}
    if as_json:
        out.print_json(data={**facts, "version": row.version})
    else:
        out.print(f"done; {row.saga} {row.key} is {row.status}", highlight=False, markup=False)


async def _timers(saga: str, as_json: bool) -> None:
    async with opened_store(quiet_settings()) as store:
        row = await find_saga(store, saga)
        history = await store.history(row.saga_id)
    state = fold((recorded.event for recorded in history), row.saga_id)
    found = [] if state is None else timers_of(state)
    if as_json:
        out.print_json(data=found)
        return
    table = Table("timer", "due (UTC)", "", box=None)
    for timer in found:
        table.add_row(timer["timer"], timer["due"] or "never", timer["note"])
    out.print(table if found else "no timer is running")


def _json(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected --reply to be JSON; {error}") from None
    if not isinstance(body, dict):
        raise typer.BadParameter("expected --reply to be a JSON object")
    return body
