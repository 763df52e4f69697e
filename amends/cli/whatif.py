"""`amends whatif`: what another version of a definition would have done with all that happened."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from amends.cli.finding import opened_store, quiet_settings
from amends.cli.modules import AnySaga, NothingFound, find
from amends.cli.progress import counting
from amends.cli.running import BadInput, execute
from amends.infrastructure.ports import Which
from amends.projections.histories import how_many
from amends.projections.whatif.differences import Comparison
from amends.projections.whatif.run import LISTED, Outcome, what_if

_TYPE: Final = re.compile(r"(?P<saga>[a-z][a-z0-9_-]*)(@(?P<version>[0-9]{1,9}))?")

out = Console()


def whatif(
    target: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="The candidate: a saga in a module.")],
    against: Annotated[
        str, typer.Option(help="Which histories: a type, or one version of it, such as order@1.")
    ] = "",
    key: Annotated[str | None, typer.Option(help="Only the saga of this key.")] = None,
    status: Annotated[str | None, typer.Option(help="Only sagas of this status.")] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:STEP", help="An intended difference, such as added:notify; * is anything."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many sagas to tell of one by one.")] = LISTED,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide all recorded histories again by a candidate, and tell which sagas would have gone otherwise.

    Nothing is sent, and nothing is changed. The exit status is 1 where a difference shows that was not expected.
    """
    outcome = execute(_whatif(target, against, key, status, expect or [], limit))
    if as_json:
        out.print_json(data=outcome.as_json())
    else:
        out.print(_report(outcome))
    raise typer.Exit(0 if outcome.passed else 1)


async def _whatif(
    target: str, against: str, key: str | None, status: str | None, expect: list[str], limit: int
) -> Outcome:
    candidate = _candidate(target).definition
    match = _TYPE.fullmatch(against or candidate.name)
    if match is None:
        raise BadInput(f"expected a type such as order, or a version such as order@1, got {against!r}")
    which = Which(match["saga"], int(match["version"]) if match["version"] else None, key, status)
    async with opened_store(quiet_settings()) as store:
        total = await how_many(store, which)
        with counting(f"deciding again by {candidate.name}@{candidate.version}", total) as progress:
            return await what_if(store, candidate, which, expect, listed=limit, progress=progress)


def _candidate(target: str) -> AnySaga:
    found = find([target]).sagas
    if len(found) != 1:
        names = ", ".join(f"{saga.__module__}:{saga.__name__}" for saga in found) or "none"
        raise NothingFound(f"expected one saga in {target!r}, got {names}; name it as MODULE:NAME")
    return found[0]


def _report(outcome: Outcome) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{outcome.candidate} decided {outcome.examined} histories again", style="bold"),
        Text(f"  {outcome.same} would have gone the same"),
        Text(f"  {outcome.differing} would have gone otherwise, {outcome.unexpected} of them unexpectedly"),
    ]
    if outcome.unreadable:
        parts.append(Text(f"  {outcome.unreadable} cannot be read by this version of Amends", "red"))
    if outcome.migrated:
        parts.append(
            Text(f"  {outcome.migrated} were migrated on the way, and are decided again from there on")
        )
    if outcome.differing:
        parts += [Text(), _counts(outcome), Text(), *(_saga(outcome, each) for each in outcome.sagas)]
        left = outcome.differing - len(outcome.sagas)
        if left:
            parts.append(Text(f"… and {left} more; --limit shows them", "dim"))
    verdict = (
        ("nothing unexpected", "bold green") if outcome.passed else ("unexpected differences", "bold red")
    )
    return Group(*parts, Text(), Text(*verdict))


def _counts(outcome: Outcome) -> Table:
    table = Table("difference", "times", box=None)
    for name, times in outcome.counts.most_common():
        table.add_row(name, str(times))
    return table


def _saga(outcome: Outcome, found: Comparison) -> Table:
    """One saga: how it ended and would have, and each difference at its place in the history."""
    surprises = set(outcome.surprises(found))
    title = f"{found.saga} {found.key}: {found.recorded}; would be {found.candidate}"
    table = Table(title=Text(title), title_justify="left", box=None, show_header=False, padding=(0, 1))
    for each in found.differences:
        style = "red" if each in surprises else "dim"
        table.add_row(f"{each.version:>5}", Text(each.name, style), Text(each.text))
    return table
