"""A design as a drawing for the terminal: a box for each step or handler, side by side where they run so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from amends.projections.design.boxes import Box, Sheet, of_handlers, of_steps
from amends.projections.design.canvas import DOWN, LEFT, RIGHT, UP, Canvas
from amends.projections.design.outline import Design

Drawing: TypeAlias = list[list[tuple[str, str]]]
"""Rows of runs: a text and its style, one of `line`, `edge`, `step`, `pivot`, `onward`, `wait`, `text`, `undo`."""

LEGEND: Final = (
    "30 s × 3: an answer is waited for 30 s, and it is asked at most 3 times; ↩ what undoes it; "
    "double frame: the pivot; dashed: waits for the world outside."
)

_GAP: Final = 3
_NARROWEST: Final = 16

_Row: TypeAlias = "dict[str, Box]"
_Edges: TypeAlias = "dict[str, list[str]]"  # from each box to those above it


def drawing(design: Design, width: int = 100) -> Drawing:
    """Draw the graph of the steps, or of the handlers, at most `width` columns wide where that can be."""
    return sheet(of_handlers(design) if design.handlers else of_steps(design), width)


def sheet(drawn: Sheet, width: int) -> Drawing:
    """Draw these boxes."""
    rows, above = _layout(drawn)
    most = max(len(row) for row in rows)
    longest = max(len(text) for row in rows for box in row.values() for text, _ in box.lines)
    room = (width - _GAP * (most - 1)) // most
    size = max(_NARROWEST, min(longest + 6, room))
    total = most * size + (most - 1) * _GAP
    canvas = Canvas()
    centres: dict[str, int] = {}
    for row in rows:
        left = (total - len(row) * size - (len(row) - 1) * _GAP) // 2
        here = {name: left + place * (size + _GAP) + size // 2 for place, name in enumerate(row)}
        _connect(canvas, {name: above[name] for name in row if above[name]}, centres, here)
        _place(canvas, row, here, size)
        centres = here
    return list(canvas.rows())


def _layout(sheet: Sheet) -> tuple[list[_Row], _Edges]:
    """The rows from the trigger to the end; an arrow over several rows takes a place in each."""
    ranks: dict[str, int] = {}
    for name, parents in sheet.after.items():
        ranks[name] = 1 + max((ranks[parent] for parent in parents), default=0)
    rows: list[_Row] = [{} for _ in range(max(ranks.values(), default=0) + 2)]
    rows[0][">start"] = sheet.start
    above: _Edges = {">start": []}
    for name, box in sheet.boxes.items():
        rows[ranks[name]][name] = box
        parents = sheet.after[name] or (">start",)
        above[name] = [_pass_by(rows, above, p, ranks.get(p, 0), ranks[name]) for p in parents]
    rows[-1][">end"] = sheet.end
    above[">end"] = [
        _pass_by(rows, above, p, ranks.get(p, 0), len(rows) - 1) for p in sheet.ends or (">start",)
    ]
    return _ordered(rows, above), above


def _pass_by(rows: list[_Row], above: _Edges, parent: str, start: int, end: int) -> str:
    for rank in range(start + 1, end):
        name = f">{parent}>{rank}"
        if name not in rows[rank]:
            rows[rank][name] = Box()
            above[name] = [parent]
        parent = name
    return parent


def _ordered(rows: list[_Row], above: _Edges) -> list[_Row]:
    """Each row in the order of what stands above it, so that few lines cross."""
    ordered = rows[:1]
    for row in rows[1:]:
        places = {name: place for place, name in enumerate(ordered[-1])}
        middle = {name: sum(places[p] for p in above[name]) / len(above[name]) for name in row}
        ordered.append({name: row[name] for name in sorted(row, key=lambda name: middle[name])})
    return ordered


def _place(canvas: Canvas, row: _Row, centres: dict[str, int], size: int) -> None:
    top = canvas.height
    texts = {name: box.wrapped(size - 4) for name, box in row.items() if box.lines}
    tall = max((len(lines) for lines in texts.values()), default=1)
    for name, box in row.items():
        if name in texts:
            padded = texts[name] + (("", "text"),) * (tall - len(texts[name]))
            canvas.box(top, centres[name] - size // 2, size, padded, box.frame)
        else:
            for below in range(tall + 1):
                canvas.line(top + below, centres[name], UP | DOWN)


def _connect(canvas: Canvas, above: _Edges, upper: dict[str, int], lower: dict[str, int]) -> None:
    """Lines from the boxes of one row to those of the next; boxes with the same parents share a line."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for child, parents in above.items():
        groups.setdefault(tuple(sorted(parents)), []).append(child)
    buses = _buses(groups, upper, lower)
    if not groups:
        return
    straight = all(upper[p] == lower[c] for c, parents in above.items() for p in parents)
    top, height = canvas.height, 1 + max(buses.values()) + (not straight)
    cells: dict[tuple[int, int], dict[int, int]] = {}
    for number, (group, children) in enumerate(groups.items()):
        down = [upper[p] for p in group]
        for row, column, bits in _wires(down, [lower[c] for c in children], buses[group], height):
            owners = cells.setdefault((row, column), {})
            owners[number] = owners.get(number, 0) | bits
    for (row, column), owners in cells.items():
        canvas.line(top + row, column, _joined(owners.values(), column in upper.values()))
    for child, column in lower.items():
        if not child.startswith(">") or child == ">end":
            canvas.write(top + height - 1, column, "▼", "line")


def _buses(
    groups: dict[tuple[str, ...], list[str]], upper: dict[str, int], lower: dict[str, int]
) -> dict[tuple[str, ...], int]:
    """The row of each group's horizontal line: those that would overlap stand below each other."""
    taken: list[list[tuple[int, int]]] = []
    buses: dict[tuple[str, ...], int] = {}
    for parents, children in groups.items():
        columns = [upper[p] for p in parents] + [lower[c] for c in children]
        low, high = min(columns), max(columns)
        row = next(
            (n for n, spans in enumerate(taken) if all(high < a or b < low for a, b in spans)), len(taken)
        )
        if row == len(taken):
            taken.append([])
        taken[row].append((low, high))
        buses[parents] = row
    return buses


def _wires(down: Sequence[int], up: Sequence[int], bus: int, height: int) -> Iterator[tuple[int, int, int]]:
    low, high = min(*down, *up), max(*down, *up)
    for column in down:
        yield from ((row, column, UP | DOWN) for row in range(bus))
        yield bus, column, UP
    for column in up:
        yield bus, column, DOWN
        yield from ((row, column, UP | DOWN) for row in range(bus + 1, height))
    for column in range(low, high + 1):
        sides = (LEFT if column > low else 0) | (RIGHT if column < high else 0)
        if sides:
            yield bus, column, sides


def _joined(owners: Iterable[int], shared: bool) -> int:
    """Where lines of two groups meet: one line if both come from the same box above, else one passes under."""
    several = list(owners)
    if len(several) == 1:
        return several[0]
    if shared:
        together = 0
        for bits in several:
            together |= bits
        return together
    return UP | DOWN
