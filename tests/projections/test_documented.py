"""docs/views.md names every view and every column, in their order: the contract that dashboards rely on."""

from __future__ import annotations

import re
from pathlib import Path

from tests.projections.conftest import Place

PAGE = (Path(__file__).parents[2] / "docs/views.md").read_text()


def documented() -> dict[str, list[str]]:
    """The columns of each view, by the tables of the page."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        table = re.search(r"\| column \| what it means \|\n\| --- \| --- \|\n(?P<rows>(?:\|.*\n)+)", text)
        assert table, name
        cells = [row.split("|")[1] for row in table["rows"].splitlines()]
        found[name.strip()] = [column for cell in cells for column in re.findall(r"`(\w+)`", cell)]
    return {
        **found,
        "stuck": found["unfinished"],
        "statistics_by_hour": ["hour", *found["statistics"]],
    }


async def test_the_page_names_every_view_and_column_in_order(place: Place) -> None:
    rows = await place.query(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'test_views'"
        " ORDER BY table_name, ordinal_position"
    )
    columns: dict[str, list[str]] = {}
    for row in rows:
        columns.setdefault(row["table_name"], []).append(row["column_name"])
    assert columns == documented()
