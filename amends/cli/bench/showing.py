"""Figures as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from amends.cli.bench.figure import Figure


def figures_table(figures: Sequence[Figure]) -> Table:
    """The median of the runs, and the least and the most where there were several."""
    several = any(len(figure.values) > 1 for figure in figures)
    table = Table("what", "figure", box=None)
    table.add_column("median" if several else "value", justify="right")
    table.add_column("unit")
    if several:
        table.add_column("least – most", justify="right")
    subject = ""
    for figure in figures:
        shown = [plain(figure.median), figure.unit]
        spread = [f"{plain(min(figure.values))} – {plain(max(figure.values))}"] if several else []
        table.add_row("" if figure.subject == subject else figure.subject, figure.name, *shown, *spread)
        subject = figure.subject
    return table


def plain(value: float) -> str:
    """With three digits, and all that stand before the point."""
    if not value:
        return "0"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(0, 3 - before)}f}"
