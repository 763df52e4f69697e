"""Tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from amends.infrastructure.ports import SagaRow


def history_table(row: SagaRow, told: list[dict[str, Any]]) -> Table:
    """A saga's history, one line an event, with who did it and the message that caused it."""
    title = f"{row.saga} {row.key}: {row.status}"
    table = Table(
        "", "time (UTC)", "what happened", "by", "because of", title=title, title_justify="left", box=None
    )
    for event in told:
        at = event["at"].replace("T", " ")[:23]
        table.add_row(str(event["version"]), at, event["sentence"], event["by"], event["cause"][:8])
    return table
