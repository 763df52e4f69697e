"""The projection of how many and how long: histograms by hour, type, version, step and outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, TypeAlias

from pydantic_core import from_json

from amends.domain.events import JsonObject
from amends.projections.projection import Change, Columns, Logged, States, dumps

_GROWTH: Final = math.log(1.1)
_SHORTEST: Final = 1_000  # microseconds
_MICROSECOND: Final = timedelta(microseconds=1)

_OUTCOMES: Final = {
    "command.succeeded": "succeeded",
    "command.rejected": "rejected",
    "command.failed": "failed",
    "command.timed-out": "timed_out",
}
_WAITS: Final = {
    "wait.succeeded": "succeeded",
    "wait.rejected": "rejected",
    "wait.timed-out": "timed_out",
}
Place: TypeAlias = tuple[Any, ...]
"""Hour, type, version, step, direction, outcome, bucket: a row of the histograms."""

Ended: TypeAlias = tuple[str, str, str, int | None]
"""Step, direction, outcome, and the duration in microseconds where it was measured."""

_ENDS: Final = {"saga.completed": "completed", "saga.compensated": "compensated", "saga.failed": "failed"}


class Statistics:
    """Counts and durations, added up in buckets whose bounds grow by a tenth: percentiles are that exact.

    What ended is counted in the hour of its end: sagas (without a step), attempts of commands, waits. A start is
    counted in its own hour, without a duration.
    """

    name: ClassVar[str] = "statistics"
    version: ClassVar[int] = 1
    package: ClassVar[str] = "amends.projections.statistics.sql"

    def fold(self, states: States, events: Sequence[Logged]) -> Sequence[Change]:
        """What ended, added up; and when what is under way began."""
        sagas: dict[str, JsonObject] = {}
        totals: dict[Place, tuple[int, int]] = {}
        for event in events:
            saga = sagas.get(event.saga_id)
            if saga is None:
                known = states.get(event.saga_id)
                saga = sagas[event.saga_id] = from_json(known) if known else {"version": 0, "begun": {}}
            if event.version <= saga["version"]:
                continue
            saga["version"] = event.version
            ended = _ended(saga, event)
            if ended is not None:
                *kind, duration = ended
                place = (_hour(event.data["at"]), saga["saga"], saga["definition"], *kind, _bucket(duration))
                count, microseconds = totals.get(place, (0, 0))
                totals[place] = (count + 1, microseconds + (duration or 0))
        return [Change("save_begun", _begun(sagas)), Change("add", _columns(totals))]


def _ended(saga: JsonObject, event: Logged) -> Ended | None:
    """What the event ends; remembers what it begins."""
    try:
        return _ended_by(saga, event.type, event.data)
    except (KeyError, TypeError, ValueError):
        return None  # an event that lacks what its type has is none of which anything could be counted


def _ended_by(saga: JsonObject, kind: str, data: JsonObject) -> Ended | None:
    if kind == "saga.started":
        saga |= {"saga": data["saga"], "definition": data["definition"], "started": data["at"]}
        return "", "", "started", None
    if "saga" not in saga:
        return None  # its start cannot be read
    if kind == "saga.migrated":
        _rename(saga, data)
    elif kind == "command.recorded":
        saga["begun"][_place(data)] = [data.get("round", 1), data.get("attempt", 1), data["at"]]
    elif kind == "wait.started":
        saga["begun"][f"wait {data['step']}"] = data["at"]
    elif kind in _OUTCOMES:
        attempt = [data.get("round", 1), data.get("attempt", 1)]
        begun = saga["begun"].get(_place(data))
        since = begun[2] if begun and begun[:2] == attempt else None
        return (
            data["step"],
            data.get("direction", "forward"),
            _OUTCOMES[kind],
            _microseconds(since, data["at"]),
        )
    elif kind in _WAITS:
        since = saga["begun"].get(f"wait {data['step']}")
        return data["step"], "forward", _WAITS[kind], _microseconds(since, data["at"])
    elif kind in _ENDS:
        return "", "", _ENDS[kind], _microseconds(saga["started"], data["at"])
    return None


def _rename(saga: JsonObject, data: JsonObject) -> None:
    saga["definition"] = data["definition"]
    names: dict[str, str] = data.get("steps", {})
    places = ((place, place.partition(" ")) for place in saga["begun"])
    renamed = {place: f"{head}{blank}{names.get(step, step)}" for place, (head, blank, step) in places}
    saga["begun"] = {renamed[place]: begun for place, begun in saga["begun"].items()}


def _place(data: JsonObject) -> str:
    return f"{data.get('direction', 'forward')} {data['step']}"


def _hour(at: str) -> str:
    """The hour in UTC."""
    return at[:13] if at.endswith("Z") else datetime.fromisoformat(at).astimezone(UTC).isoformat()[:13]


def _microseconds(since: str | None, until: str) -> int | None:
    """None: an answer to an earlier attempt than the latest."""
    if since is None:
        return None
    return max(0, (datetime.fromisoformat(until) - datetime.fromisoformat(since)) // _MICROSECOND)


def _bucket(duration: int | None) -> int | None:
    """The number of the bucket; its upper bound is a millisecond times 1.1 to this power."""
    if duration is None:
        return None
    return math.ceil(math.log(duration / _SHORTEST) / _GROWTH) if duration > _SHORTEST else 0


def _begun(sagas: dict[str, JsonObject]) -> Columns:
    return {"ids": list(sagas), "states": [dumps(saga) for saga in sagas.values()]}


def _columns(totals: dict[Place, tuple[int, int]]) -> Columns:
    names = ("hours", "sagas", "definitions", "steps", "directions", "outcomes", "buckets")
    columns: Columns = {name: [place[at] for place in totals] for at, name in enumerate(names)}
    counts, microseconds = [count for count, _ in totals.values()], [total for _, total in totals.values()]
    return {**columns, "counts": counts, "microseconds": microseconds}
