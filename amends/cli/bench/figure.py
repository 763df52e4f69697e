"""What was measured, as a record that tables, JSON and plots are made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One value for each run of one measurement: `subject` is what was measured, `name` is what of it.

    `unit` says what the values count; where it ends in `/s`, more is better.
    """

    subject: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "name": self.name,
            "unit": self.unit,
            "values": list(self.values),
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
        }

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> Figure:
        return cls(read["subject"], read["name"], read["unit"], tuple(read["values"]))


def together(figures: Iterable[Figure]) -> list[Figure]:
    """Figures of the same subject, name and unit as one with all their values, in the order of their first."""
    found: dict[tuple[str, str, str], Figure] = {}
    for each in figures:
        place = (each.subject, each.name, each.unit)
        before = found.get(place)
        found[place] = replace(before, values=before.values + each.values) if before else each
    return list(found.values())
