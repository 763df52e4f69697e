"""`amends limits`: how many sagas run, what is outstanding, and what holds commands back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table

from amends.cli.finding import opened_store, quiet_settings
from amends.cli.running import execute
from amends.domain.events import JsonObject
from amends.projections.limits import facts

out = Console()


def limits(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """How the limits stand: sagas that run at once, commands that are out or held, circuit breakers."""
    found = execute(_limits())
    if as_json:
        out.print_json(data=found)
    else:
        out.print(Group(_types(found["types"]), "", _participants(found["participants"])))


async def _limits() -> JsonObject:
    async with opened_store(quiet_settings()) as store:
        return facts(await store.limits.status())


def _types(types: list[JsonObject]) -> Table | str:
    if not types:
        return "No saga type has a limit."
    table = Table("saga type", "running", "limit", "starts waiting", box=None)
    for each in types:
        table.add_row(each["type"], str(each["running"]), str(each["limit"]), str(each["waiting"]))
    return table


def _participants(participants: list[JsonObject]) -> Table | str:
    if not participants:
        return "No participant has limits."
    table = Table(
        "participant", "outstanding", "limit", "a second", "held", "since", "breaker", "held by", box=None
    )
    for each in participants:
        table.add_row(
            each["participant"], str(each["outstanding"]), _told(each["outstanding_limit"]),
            _told(each["per_second_limit"]), str(each["held"]), _told(each["held_since"])[:19],
            _breaker(each), each["held_by"],
        )  # fmt: skip
    return table


def _breaker(each: JsonObject) -> str:
    if each["breaker"] is None:
        return "none"
    return f"{each['breaker']}, {each['failures']} of the last {each['outcomes']} failed"


def _told(value: Any) -> str:
    return "" if value is None else str(value)
