"""The whole system as it was at an instant: how many sagas were where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from amends.domain.events import JsonObject
from amends.domain.state import SagaState
from amends.domain.wire import Direction
from amends.infrastructure.ports import Which
from amends.projections.histories import EVERY, Histories, walk
from amends.projections.travel.moments import BeforeTheStart, as_of

_WORD = {Direction.FORWARD: "", Direction.COMPENSATE: "undo ", Direction.CLOSE: "close "}


@dataclass(frozen=True, order=True)
class Place:
    """Where a saga can be: its type and version, its status, and the steps that it is about."""

    saga: str
    status: str
    at: str = ""

    def as_json(self) -> JsonObject:
        return {"saga": self.saga, "status": self.status, "at": self.at}


@dataclass(frozen=True)
class Census:
    """How many sagas were where; `unborn` had not started, the histories of `unreadable` cannot be read."""

    when: datetime
    places: Counter[Place]
    unborn: int
    unreadable: int

    def as_json(self) -> JsonObject:
        return {
            "at": self.when.isoformat(),
            "places": [{**place.as_json(), "sagas": self.places[place]} for place in sorted(self.places)],
            "not_started": self.unborn,
            "unreadable": self.unreadable,
        }


async def census(
    store: Histories, when: datetime, which: Which = EVERY, progress: Callable[[], None] = lambda: None
) -> Census:
    """Fold every history up to the instant. `progress` is called after each saga."""
    places: Counter[Place] = Counter()
    unborn = unreadable = 0
    async for _, history in walk(store, which):
        if isinstance(history, Exception):
            unreadable += 1
        else:
            try:
                places[place_of(as_of(history, when).state)] += 1
            except BeforeTheStart:
                unborn += 1
        progress()
    return Census(when, places, unborn, unreadable)


def place_of(state: SagaState) -> Place:
    """Where a saga is."""
    busy = [f"{_WORD[direction]}{step.name}" for step, direction, _ in state.active()]
    busy += [step.name for step, _ in state.waits()]
    status = f"{state.status}, suspended" if state.suspended else str(state.status)
    return Place(f"{state.saga}@{state.definition}", status, ", ".join(sorted(busy)))
