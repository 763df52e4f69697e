"""What there is to draw of a history: a lane for the saga, and one for each thing that it asked for or waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from amends.domain.events import JsonObject
from amends.domain.wire import Direction
from amends.projections.timeline.scale import elapsed

_LANE: Final = {Direction.FORWARD: "", Direction.COMPENSATE: "undo ", Direction.CLOSE: "close "}


class Kind(StrEnum):
    """What a bar stands for."""

    ASKED = "asked"
    DELAY = "delay"
    HELD = "held"
    WAIT = "wait"
    SUSPENDED = "suspended"


_LASTS: Final = {
    Kind.ASKED: "answer awaited for {}",
    Kind.DELAY: "next attempt awaited for {}",
    Kind.HELD: "held by limits for {}",
    Kind.WAIT: "{} so far",
    Kind.SUSPENDED: "{} so far",
}


class Sign(StrEnum):
    """How a bar ended, or what a mark stands for."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    STARTED = "started"
    TURNED_BACK = "turned back"
    ENDED = "ended"
    PARKED = "needs a person"
    OPERATOR = "an operator acted"
    SKIPPED = "skipped"
    GIVEN_UP = "given up"
    DEADLINE = "deadline passed"
    CONTRADICTION = "contradiction"


@dataclass
class Bar:
    """A stretch of time. Without `end` it goes on; without `sign` it just stopped."""

    kind: Kind
    begin: datetime
    end: datetime | None = None
    sign: Sign | None = None
    number: int = 0  # of the attempt, over all rounds

    def as_json(self) -> JsonObject:
        return {
            "kind": self.kind,
            "attempt": self.number or None,
            "begin": self.begin.isoformat(),
            "end": self.end and self.end.isoformat(),
            "outcome": self.sign,
        }

    def close(self, at: datetime, sign: Sign | None = None) -> None:
        """It ends now, unless it has."""
        if self.end is None:
            self.end, self.sign = at, sign


@dataclass(frozen=True)
class Mark:
    """Something that happened at one time."""

    at: datetime
    sign: Sign
    text: str = ""


@dataclass
class Lane:
    """A line of the picture; `notes` say in words what it shows. What is `doubtful` was asked for, and may have
    happened.
    """

    name: str
    bars: list[Bar] = field(default_factory=list[Bar])
    marks: list[Mark] = field(default_factory=list[Mark])
    notes: list[str] = field(default_factory=list[str])
    attempts: dict[tuple[int, int], Bar] = field(default_factory=dict[tuple[int, int], Bar])
    doubtful: bool = False

    def open(self, bar: Bar) -> None:
        """Begin a bar; those that only bridge the time until then end."""
        for other in self.bars:
            if other.kind is not Kind.ASKED:
                other.close(bar.begin)
        self.bars.append(bar)

    def close(self, at: datetime, sign: Sign | None = None) -> None:
        """End what is open."""
        for bar in self.bars:
            bar.close(at, sign)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def words(self) -> str:
        """All notes, with the number of attempts where there were several."""
        count = [f"{len(self.attempts)} attempts"] if len(self.attempts) > 1 else []
        return "; ".join([*count, *self.notes])


@dataclass
class Chart:
    """A saga's life. `end` is the last event's time, or `now` where that is told and the saga is not over."""

    title: str
    begin: datetime
    end: datetime
    status: str
    saga: Lane
    lanes: dict[tuple[str, Direction], Lane] = field(default_factory=dict[tuple[str, Direction], Lane])
    now: datetime | None = None

    @property
    def about(self) -> str:
        """When it was, and how long it took."""
        took = f"{elapsed(self.end - self.begin)}{' until now' if self.now else ''}"
        return f"from {self.begin:%Y-%m-%d %H:%M:%S} UTC, {took}; long gaps are shortened"

    def go_on(self, now: datetime) -> None:
        """It is not over: say of what is open how long it has been so far."""
        self.now = self.end = max(self.end, now)
        for lane in self.all:
            for bar in lane.bars:
                if bar.end is None:
                    lane.note(_LASTS[bar.kind].format(elapsed(self.end - bar.begin)))

    @property
    def over(self) -> bool:
        """Nothing more is planned."""
        return self.status in ("completed", "compensated", "failed")

    @property
    def all(self) -> list[Lane]:
        """Every lane from top to bottom, in the order in which they began."""
        return [self.saga, *self.lanes.values()]

    @property
    def instants(self) -> list[datetime]:
        """Every time at which something begins, ends or happens."""
        found = {self.begin, self.end}
        for lane in self.all:
            found |= {bar.begin for bar in lane.bars} | {bar.end for bar in lane.bars if bar.end}
            found |= {mark.at for mark in lane.marks}
        return sorted(found)

    def as_json(self) -> JsonObject:
        """All of it as JSON."""
        return {
            "title": self.title,
            "status": self.status,
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "now": self.now and self.now.isoformat(),
            "lanes": [
                {
                    "name": lane.name,
                    "notes": lane.notes,
                    "bars": [bar.as_json() for bar in lane.bars],
                    "marks": [{"at": m.at.isoformat(), "sign": m.sign, "text": m.text} for m in lane.marks],
                }
                for lane in self.all
            ],
        }

    def lane(self, step: str, direction: Direction = Direction.FORWARD) -> Lane:
        """The lane of a step in one direction."""
        return self.lanes.setdefault((step, direction), Lane(f"{_LANE[direction]}{step}"))
