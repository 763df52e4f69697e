"""The saga as an event-sourced aggregate: its state, its version, and the events not yet saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from amends.domain.errors import BrokenHistory
from amends.domain.events import SagaEvent
from amends.domain.evolve import evolve
from amends.domain.history import Recorded, record
from amends.domain.state import SagaState


class SagaAggregate:
    """One saga's place in the store. `version` 0 and no state: nothing has happened yet."""

    def __init__(self, id: UUID) -> None:  # noqa: A002 - the event-sourcing library's name for it
        self.id = id
        self.version = 0
        self.state: SagaState | None = None
        self._last: Recorded | None = None
        self._pending: list[Recorded] = []

    def load(self, history: Iterable[Recorded]) -> None:
        """Apply stored events. Raises `BrokenHistory` where a version is missing."""
        for recorded in history:
            if recorded.originator_version != self.version + 1:
                raise BrokenHistory(
                    f"saga {self.id}: expected version {self.version + 1}, got {recorded.originator_version}"
                )
            self._apply(recorded)

    def append(self, events: Iterable[SagaEvent], state: SagaState | None = None) -> Sequence[Recorded]:
        """Apply new events, and keep them until they are collected.

        `state` is the one after them, where whoever decided them knows it already.
        """
        appended: list[Recorded] = []
        for event in events:
            previous = self._last.digest if self._last else ""
            recorded = record(self.id, self.version + 1, previous, event)
            self.version, self._last = recorded.originator_version, recorded
            if state is None:
                self.state = evolve(self.state, event, self.id)
            appended.append(recorded)
        if state is not None and appended:
            self.state = state
        self._pending += appended
        return appended

    @property
    def pending(self) -> Sequence[Recorded]:
        """The events that were appended and not yet collected."""
        return self._pending

    def collect_events(self) -> Sequence[Recorded]:
        """The events that were appended since the last call."""
        collected, self._pending = self._pending, []
        return collected

    def _apply(self, recorded: Recorded) -> None:
        self.state = evolve(self.state, recorded.event, self.id)
        self.version = recorded.originator_version
        self._last = recorded
