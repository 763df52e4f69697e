"""Where a time stands in the picture. Long gaps are shortened, or milliseconds could not be seen beside days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import log10
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


def positions(instants: Sequence[datetime], length: float) -> Mapping[datetime, float]:
    """From 0 to `length`, each gap as wide as the logarithm of its time."""
    gaps = [_weight(after - before) for before, after in pairwise(instants)]
    unit = length / sum(gaps) if gaps else 0.0
    found = {instants[0]: 0.0}
    at = 0.0
    for instant, gap in zip(instants[1:], gaps, strict=True):
        at += gap * unit
        found[instant] = at
    return found


def elapsed(time: timedelta) -> str:
    """A time since the start in two units at most: `1 min 30 s`, `250 ms`."""
    seconds = time.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3g} s"
    parts: list[str] = []
    for unit, size in (*_UNITS, ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    return " ".join(parts[:2])


def _weight(gap: timedelta) -> float:
    return 1 + log10(1 + gap / timedelta(milliseconds=1))
