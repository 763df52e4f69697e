"""A history played again, event by event, with what each one changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from amends.domain.events import JsonObject
from amends.domain.evolve import evolve
from amends.domain.history import Recorded
from amends.domain.state import SagaState
from amends.projections.story import sentence
from amends.projections.travel.facts import Change, changes


@dataclass(frozen=True)
class Played:
    """One event, the state after it, and what it changed."""

    recorded: Recorded
    state: SagaState
    changes: list[Change]

    def as_json(self) -> JsonObject:
        event = self.recorded.event
        return {
            "version": self.recorded.originator_version,
            "at": event.at.isoformat(),
            "type": event.type,
            "sentence": sentence(event),
            "by": event.by,
            "cause": event.cause,
            "status": str(self.state.status),
            "changed": [change.as_json() for change in self.changes],
        }


def replay(history: Iterable[Recorded]) -> Iterator[Played]:
    """Each event of a history in its order."""
    state: SagaState | None = None
    for recorded in history:
        before, state = state, evolve(state, recorded.event, recorded.originator_id)
        yield Played(recorded, state, changes(before, state))
