"""The picture in characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from amends.projections.timeline.axis import LABEL_LINES, labels
from amends.projections.timeline.chart import Bar, Chart, Kind, Lane, Sign
from amends.projections.timeline.scale import positions

SIGNS: Final[Mapping[Sign, str]] = {
    Sign.SUCCEEDED: "✓",
    Sign.REJECTED: "✗",
    Sign.FAILED: "!",
    Sign.TIMED_OUT: "?",
    Sign.STARTED: "●",
    Sign.TURNED_BACK: "↩",
    Sign.ENDED: "■",
    Sign.PARKED: "P",
    Sign.OPERATOR: "@",
    Sign.SKIPPED: "∅",
    Sign.GIVEN_UP: "×",
    Sign.DEADLINE: "D",
    Sign.CONTRADICTION: "≠",
}
"""The character of each sign."""

LINES: Final[Mapping[Kind, str]] = {
    Kind.ASKED: "━",
    Kind.DELAY: "┄",
    Kind.HELD: "╌",
    Kind.WAIT: "═",
    Kind.SUSPENDED: "░",
}
"""The character that each kind of bar is drawn with."""

WORDS: Final[Mapping[Kind, str]] = {
    Kind.ASKED: "asked, answer awaited",
    Kind.DELAY: "until the next attempt",
    Kind.HELD: "held by limits",
    Kind.WAIT: "waiting for an event",
    Kind.SUSPENDED: "suspended",
}
"""What each kind of bar means."""

_OPEN: Final = "▸"
_BETWEEN: Final = "   "


def axis(made: Chart, width: int) -> str:
    """The times since the start, as many as there is room for, and now where that is told."""
    lines = [[" "] * width for _ in range(LABEL_LINES)]
    for label in labels(made, _columns(made, width), width):
        begin = int(label.begin)
        lines[label.line][begin : begin + len(label.text)] = label.text
    told = ["".join(cells).rstrip() for cells in reversed(lines)]
    return "\n".join(line for line in told if line)


def rows(made: Chart, width: int) -> Sequence[tuple[Lane, str]]:
    """Each lane as a line of characters."""
    columns = _columns(made, width)
    return [(lane, _row(lane, columns, width)) for lane in made.all]


def legend(made: Chart, width: int) -> str:
    """What the characters mean that occur, in lines of this width."""
    bars = [bar for lane in made.all for bar in lane.bars]
    kinds = {bar.kind for bar in bars}
    signs = {bar.sign for bar in bars} | {mark.sign for lane in made.all for mark in lane.marks}
    told = [f"{LINES[kind]} {WORDS[kind]}" for kind in Kind if kind in kinds]
    told += [f"{_OPEN} goes on"] if any(bar.end is None for bar in bars) else []
    told += [f"{SIGNS[sign]} {sign}" for sign in Sign if sign in signs]
    lines = [""]
    for term in told:
        longer = f"{lines[-1]}{_BETWEEN if lines[-1] else ''}{term}"
        lines[-1:] = [longer] if len(longer) <= width else [lines[-1], term]
    return "\n".join(lines)


def _columns(made: Chart, width: int) -> Mapping[datetime, int]:
    """A column for each instant; there is room for what stands beside the last, and for what goes on."""
    found = positions(made.instants, width - 4)
    return {instant: round(at) for instant, at in found.items()}


def _row(lane: Lane, columns: Mapping[datetime, int], width: int) -> str:
    cells = [" "] * width
    for bar in lane.bars:
        _draw(cells, bar, columns, width)
    for mark in lane.marks:
        column = columns[mark.at]
        # The end of a bar says more than that it was given up then; what comes second stands beside it.
        while column < width - 1 and cells[column] not in (" ", *LINES.values()):
            column += 1
        cells[column] = SIGNS[mark.sign]
    return "".join(cells).rstrip()


def _draw(cells: list[str], bar: Bar, columns: Mapping[datetime, int], width: int) -> None:
    begin, end = columns[bar.begin], columns[bar.end] if bar.end else width - 1
    for column in range(begin, end + 1):
        if cells[column] == " " or column not in (begin, end):
            cells[column] = LINES[bar.kind]
    if bar.end is None:
        cells[end] = _OPEN
    elif bar.sign is not None:
        cells[end] = SIGNS[bar.sign]
