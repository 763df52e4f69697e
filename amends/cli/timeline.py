"""`amends timeline`: a picture of a saga's life."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from amends.cli.finding import opened_queries
from amends.cli.running import BadInput, execute
from amends.domain.history import Recorded
from amends.infrastructure.clock import SystemClock
from amends.projections.timeline.chart import Chart
from amends.projections.timeline.reading import chart
from amends.projections.timeline.svg import svg
from amends.projections.timeline.terminal import SIGNS, axis, legend, rows

_NARROWEST: Final = 24
_NOTES: Final = 0.34  # of the width
_STYLES: Final = {
    "✓": "green", "✗": "red", "!": "yellow", "?": "yellow", "↩": "yellow", "P": "magenta", "×": "red", "D": "red",
    "≠": "magenta", "@": "magenta", "■": "bold", "●": "bold",
}  # fmt: skip
assert _STYLES.keys() <= set(SIGNS.values())

out = Console()


def timeline(
    saga: Annotated[str, typer.Argument(metavar="ID", help="A saga's id, or its business key.")],
    file: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the picture as SVG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: every bar and mark.")] = False,
) -> None:
    """Draw a saga's life: attempts, waits and compensations over time."""
    made = chart(execute(_recorded(saga)), SystemClock().now())
    if as_json:
        out.print_json(data=made.as_json())
    elif file is None:
        out.print(drawn(made, out.width))
    else:
        _write(file, svg(made))


async def _recorded(saga: str) -> list[Recorded]:
    async with opened_queries() as queries:
        return await queries.recorded(saga)


def drawn(made: Chart, width: int) -> Group:
    """The picture for a terminal of this width."""
    name = max(len(lane.name) for lane in made.all)
    room = max(_NARROWEST, width - name - 4 - int(width * _NOTES))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=room)
    grid.add_column(overflow="fold")
    grid.add_row("", Text(axis(made, room), "dim"), "")
    for lane, line in rows(made, room):
        grid.add_row(lane.name, _coloured(line), Text(lane.words))
    title = Text.assemble((made.title, "bold"), f": {made.status}")
    return Group(
        title,
        Text(made.about, "dim"),
        "",
        grid,
        "",
        Text(legend(made, width), "dim"),
    )


def _coloured(line: str) -> Text:
    text = Text(line)
    for place, character in enumerate(line):
        if character in _STYLES:
            text.stylize(_STYLES[character], place, place + 1)
    return text


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        execute(_refuse(file, error))
    Console(stderr=True).print(f"wrote {file}")


async def _refuse(file: Path, error: OSError) -> None:
    raise BadInput(f"expected --svg to name a file that can be written, got {file}; {error}") from error
