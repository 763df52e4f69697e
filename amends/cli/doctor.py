"""`amends doctor`: what is not as it should be, and how to mend it."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amends.cli.finding import quiet_settings
from amends.cli.running import execute
from amends.infrastructure.embedded import Servers
from amends.projections.doctor import Finding, examine
from amends.projections.doctor.finding import Health

_SIGNS: Final = {
    Health.WELL: ("✓", "green"),
    Health.ATTENTION: ("!", "yellow"),
    Health.BROKEN: ("✗", "red"),
}
out = Console()


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at servers, migrations, streams, workers and views, and say how to mend what is not well.

    The exit status is 1 where something is broken; what only needs attention does not count.
    """
    findings = execute(_examine())
    if as_json:
        out.print_json(data=[finding.as_json() for finding in findings])
    else:
        out.print(_table(findings))
    raise typer.Exit(1 if any(finding.health is Health.BROKEN for finding in findings) else 0)


async def _examine() -> list[Finding]:
    settings = quiet_settings()
    async with Servers(settings) as servers:
        return [finding async for finding in examine(servers.database_url, servers.nats_url, settings)]


def _table(findings: list[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        sign, style = _SIGNS[finding.health]
        told = Text(finding.told, overflow="fold")
        if finding.mend:
            told.append(f"\n{finding.mend}", "bold")
        table.add_row(Text(sign, style), finding.about, told)
    return table
