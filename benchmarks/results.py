"""The file that results are kept in: written after every part, so that an interrupted run loses one part at most.

A part is one measurement of one round, such as `A` in round 3. Other programs may add theirs to the same file, and so
to the table, the plot and the page: `Results(path).add("growth", 1, seconds, figures)`.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from amends import __version__
from amends.cli.bench.figure import Figure, together
from amends.infrastructure.core import CORE

TOGETHER: Final = "saturated, in the same round"
SYNCED: Final = "A, JetStream syncs always"
PROTOTYPE_SYNCED: Final = "prototype, JetStream syncs always"
RATIOS: Final = (
    ("A", "DBOS"),
    ("A", "prototype"),
    ("B", "A"),
    (SYNCED, "A"),
    (SYNCED, PROTOTYPE_SYNCED),
)


class Results:
    """Parts with their figures, in a JSON file that is read where it exists."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[dict[str, Any]] = json.loads(path.read_text())["parts"] if path.exists() else []

    def has(self, part: str, number: int) -> bool:
        return any((each["part"], each["round"]) == (part, number) for each in self._parts)

    def add(self, part: str, number: int, seconds: float, figures: Iterable[Figure]) -> None:
        """Keep what was measured in this part of this round, which took so many seconds."""
        self._parts.append(
            {
                "part": part,
                "round": number,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 1),
                "load_average": round(os.getloadavg()[0], 2),
                "figures": [figure.as_json() for figure in figures],
            }
        )
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        unfinished.rename(self._path)

    def figures(self) -> list[Figure]:
        """All runs of each figure together, and the ratios within each round."""
        measured = [
            (part["round"], Figure.from_json(each)) for part in self._parts for each in part["figures"]
        ]
        return together([*(figure for _, figure in measured), *_ratios(measured)])

    def as_json(self) -> dict[str, Any]:
        return {
            "amends": __version__,
            "python": platform.python_version(),
            "core": CORE,
            "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
            "figures": [figure.as_json() for figure in self.figures()],
            "parts": self._parts,
        }


def _ratios(measured: Iterable[tuple[int, Figure]]) -> Iterator[Figure]:
    rates = {(number, each.subject): each.median for number, each in measured if each.name == "saturated"}
    for number in sorted({number for number, _ in rates}):
        for one, other in RATIOS:
            if (number, one) in rates and (number, other) in rates:
                ratio = rates[number, one] / rates[number, other]
                yield Figure(TOGETHER, f"{one} : {other}", "×", (ratio,))
