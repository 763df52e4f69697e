"""The times along the picture: which of them are told, where, and in which line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from amends.projections.timeline.chart import Chart
from amends.projections.timeline.scale import elapsed

LABEL_LINES: Final = 3
"""So many lines of labels there are at most, for times that are close together."""


@dataclass(frozen=True)
class Label:
    """A time since the start. Line 0 is the one next to the picture."""

    text: str
    begin: float
    line: int


def labels(made: Chart, places: Mapping[datetime, float], width: float, letter: float = 1) -> Iterator[Label]:
    """Each begins at its place, or so far before it that it fits into the width; `letter` is the width of one.

    Now is told at the end of line 0. Each other goes into the first line that has room for it; it is left out where
    none has, or where it reads like the one before it.
    """
    limits = [width] * LABEL_LINES
    if made.now:
        text = f"now +{elapsed(made.now - made.begin)}"
        limits[0] = width - (len(text) + 1) * letter
        yield Label(text, width - len(text) * letter, 0)
    free = [0.0] * LABEL_LINES
    before = ""
    for instant, place in places.items():
        text = f"+{elapsed(instant - made.begin)}" if instant != made.begin else "0"
        if instant == made.now or text == before:
            continue
        before = text
        begin = min(place, width - len(text) * letter)
        end = begin + len(text) * letter
        fits = (line for line in range(LABEL_LINES) if free[line] <= begin and end <= limits[line])
        if (line := next(fits, None)) is not None:
            free[line] = end + letter
            yield Label(text, begin, line)
