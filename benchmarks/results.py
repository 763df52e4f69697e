"""The file that results are kept in: written after every part, so that an interrupted run loses one part at most.

A part is one measurement of one round, such as `A` in round 3. Other programs may add theirs to the same file, and so
to the table, the plot and the page: `Results(path).add("growth", 1, seconds, figures)`.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from amends import __version__
from amends.cli.bench.figure import Figure, together
from amends.infrastructure.core import CORE

TOGETHER: Final = "in the same round"
SYNCED: Final = "A, JetStream syncs always"
PROTOTYPE_SERVICES: Final = "prototype, four services"
PROTOTYPE_SYNCED: Final = "prototype, JetStream syncs always"
RATIOS: Final = (
    ("A", "DBOS"),
    ("A", "prototype"),
    ("B", "A"),
    ("B", PROTOTYPE_SERVICES),
    (SYNCED, "A"),
    (SYNCED, PROTOTYPE_SYNCED),
)
LIGHT: Final = "latency at 20/s, p99"
LIGHT_RATIOS: Final = (("A", "prototype"),)


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


def _ratios(measured: Sequence[tuple[int, Figure]]) -> Iterator[Figure]:
    yield from _compared(measured, "saturated", RATIOS, "")
    yield from _compared(measured, LIGHT, LIGHT_RATIOS, ", p99 at 20/s")


def _compared(
    measured: Iterable[tuple[int, Figure]], name: str, pairs: Iterable[tuple[str, str]], told: str
) -> Iterator[Figure]:
    found = {(number, each.subject): each.median for number, each in measured if each.name == name}
    for number in sorted({number for number, _ in found}):
        for one, other in pairs:
            if (number, one) in found and (number, other) in found:
                ratio = found[number, one] / found[number, other]
                yield Figure(TOGETHER, f"{one} : {other}{told}", "×", (ratio,))
