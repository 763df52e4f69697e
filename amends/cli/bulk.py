"""`amends bulk`, `amends job` and `amends jobs`: one action on many sagas."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, cast, get_args

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from amends.cli.durations import duration
from amends.cli.finding import quiet_settings
from amends.cli.operating import AsJson, By, Outcome, Reason
from amends.cli.running import execute
from amends.client import Client
from amends.domain import inputs, wire
from amends.domain.inputs import Action
from amends.infrastructure.clock import fresh_name
from amends.infrastructure.jobs import Job
from amends.infrastructure.settings import operator
from amends.process_managers.bulk import RATE, Bulk
from amends.process_managers.choosing import Choice, Condition
from amends.process_managers.requests import ACTIONS

app = typer.Typer()
out = Console()
errors = Console(stderr=True)

Actions = StrEnum("Actions", list(ACTIONS))  # type: ignore[misc]
Conditions = StrEnum("Conditions", list(get_args(Condition)))  # type: ignore[misc]

_NEEDED: Final[dict[type[Action], dict[str, str]]] = {
    inputs.Migrate: {"--to": "to"},
    inputs.Skip: {"--step": "step"},
    inputs.Settle: {"--step": "step", "--outcome": "outcome"},
}
"""Options that an action cannot do without, and what they fill in."""


Rate = Annotated[float, typer.Option(min=0.01, help="Sagas a second.")]


@app.command()
def bulk(  # noqa: PLR0913 - a command's options
    action: Annotated[Actions, typer.Argument(metavar="ACTION", help=f"One of {', '.join(ACTIONS)}.")],
    *,
    reason: Reason,
    saga: Annotated[str | None, typer.Option("--type", help="Sagas of this type.")] = None,
    status: Annotated[Conditions | None, typer.Option(help="In this condition.")] = None,
    version: Annotated[int | None, typer.Option(help="Of this version.")] = None,
    step: Annotated[
        str | None, typer.Option(help="That stand at this step, which is then the action's step, too.")
    ] = None,
    older_than: Annotated[
        timedelta | None, typer.Option(parser=duration, metavar="TIME", help="Begun so long ago: 5m, 2h, 3d.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="Whose last error holds this text.")] = None,
    to: Annotated[int, typer.Option(help="migrate: the version to go on under.")] = 0,
    outcome: Annotated[Outcome | None, typer.Option(help="settle: what became of the step.")] = None,
    compensation: Annotated[bool, typer.Option("--compensation", help="settle: it is undone.")] = False,
    at: Annotated[datetime | None, typer.Option(help="reschedule: when, UTC; without: never.")] = None,
    rate: Rate = RATE,
    job: Annotated[str, typer.Option(help="A name for the job; one that was cut off goes on.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which sagas it would be.")] = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Do something to many sagas, chosen by what is given; asked for again, a job goes on where it stopped."""
    given: dict[str, Any] = {
        "step": step,
        "to": to,
        "outcome": outcome and wire.Outcome(str(outcome)),
        "direction": wire.Direction.COMPENSATE if compensation else wire.Direction.FORWARD,
        "due": at and at.replace(tzinfo=UTC),
    }
    wanted = _action(str(action), reason, by or operator(), given)
    chosen = Choice(saga, cast("Condition | None", status and str(status)), version, step, older_than, error)
    if dry_run:
        execute(_dry_run(chosen, as_json))
    else:
        execute(_run(job or f"{action}-{fresh_name()[:8]}", wanted, chosen, rate, as_json))


@app.command()
def job(
    name: Annotated[str, typer.Argument(metavar="JOB", help="The job's name.")],
    resume: Annotated[bool, typer.Option("--resume", help="Do first what is left of it.")] = False,
    rate: Rate = RATE,
    as_json: AsJson = False,
) -> None:
    """What became of each saga of a job; with `--resume` one that was cut off goes on."""
    execute(_job(name, rate if resume else None, as_json))


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50, as_json: AsJson = False
) -> None:
    """The latest jobs, newest first: what each does, and how far it is. One with sagas left may have been cut off."""
    execute(_jobs(limit, as_json))


def _action(name: str, reason: str, by: str, given: dict[str, Any]) -> Action:
    """The action without the name of its request, which the job gives."""
    kind = ACTIONS[name]
    missing = [option for option, field in _NEEDED.get(kind, {}).items() if not given[field]]
    if missing:
        raise typer.BadParameter(f"expected {' and '.join(missing)} for {name}")
    known = {field.name for field in fields(kind)}
    return kind(
        "", reason, by=by, **{name: value for name, value in given.items() if value and name in known}
    )


async def _dry_run(choice: Choice, as_json: bool) -> None:
    async with Client(quiet_settings()) as client:
        found = [each async for each in client.bulk.choose(choice)]
    if as_json:
        out.print_json(data=[{"id": str(e.saga_id), "key": e.state.key if e.state else None} for e in found])
        return
    for each in found:
        known = f"{each.state.saga} {each.state.key}: {each.state.status}" if each.state else "not begun"
        out.print(f"{each.saga_id}  {known}", highlight=False)
    out.print(f"{len(found)} sagas; nothing was done")


async def _run(name: str, action: Action, choice: Choice, rate: float, as_json: bool) -> None:
    errors.print(f"job {name}", highlight=False)  # first of all, so that it is known should this be cut off
    async with Client(quiet_settings()) as client:
        prepared = await client.bulk.prepare(name, action, choice)
        await _tell(client.bulk, await _go_on(client.bulk, prepared, rate), as_json)


async def _go_on(bulk: Bulk, job: Job, rate: float) -> Job:
    errors.print(f"{job.left} sagas to do", highlight=False)
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task(job.name, total=job.left)
        return await bulk.run(job.name, rate=rate, progress=lambda _: progress.advance(task))


async def _job(name: str, rate: float | None, as_json: bool) -> None:
    """`rate` is that at which it goes on; None: it does not."""
    async with Client(quiet_settings()) as client:
        found = await client.bulk.job(name)
        if rate is not None:
            found = await _go_on(client.bulk, found, rate)
        await _tell(client.bulk, found, as_json)


async def _jobs(limit: int, as_json: bool) -> None:
    async with Client(quiet_settings()) as client:
        found = await client.bulk.latest(limit)
    if as_json:
        out.print_json(data=[_facts(job) for job in found])
        return
    table = Table("job", "action", "made (UTC)", "last result", "done", "refused", "left", box=None)
    for job in found:
        last = f"{job.last:%Y-%m-%d %H:%M:%S}" if job.last else "none yet"
        counts = (str(job.done), str(job.refused), str(job.left))
        made = f"{job.created:%Y-%m-%d %H:%M:%S}"
        table.add_row(*map(Text, (job.name, str(job.action["action"]), made, last, *counts)))
    out.print(table if found else "no job was ever made", highlight=False)
    if any(job.left for job in found):
        out.print("one with sagas left that was cut off goes on: amends job JOB --resume", highlight=False)


def _facts(job: Job) -> dict[str, Any]:
    return {
        "job": job.name,
        "action": job.action,
        "chosen_by": job.chosen_by,
        "made": job.created.isoformat(),
        "last": job.last.isoformat() if job.last else None,
        "done": job.done,
        "refused": job.refused,
        "left": job.left,
    }


async def _tell(bulk: Bulk, job: Job, as_json: bool) -> None:
    items = [item async for item in bulk.items(job.name)]
    if as_json:
        told = [
            {"id": str(item.saga_id), "result": item.result or "left", "reason": item.reason}
            for item in items
        ]
        out.print_json(data={**_facts(job), "items": told})
        return
    table = Table("saga", "result", "why", box=None)
    for item in items:
        if item.result != "done":
            table.add_row(str(item.saga_id), item.result or "left", item.reason)
    if table.row_count:
        out.print(table)
    left = f"; for those left: amends job {job.name} --resume" if job.left else ""
    out.print(f"job {job.name}: {job.done} done, {job.refused} refused, {job.left} left{left}")
