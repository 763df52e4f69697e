"""What a scenario runs against: a worker with its broker and store, in memory or on real servers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from amends.domain.history import Recorded
from amends.domain.inputs import Action
from amends.infrastructure.ports import Incoming, Outgoing


class System(Protocol):
    """A worker for one saga type. Time passes only by `advance`; what falls due on the way happens at its moment."""

    @property
    def namespace(self) -> str:
        """Where its messages travel."""
        ...

    def publish(self, message: Outgoing) -> None:
        """Put a message onto the broker."""
        ...

    def commands(self) -> Sequence[Incoming]:
        """The commands that came since this was asked last, when the worker has nothing left to do."""
        ...

    def advance(self, duration: timedelta) -> None:
        """Let time pass."""
        ...

    def act(self, saga: UUID, action: Action) -> None:
        """What an operator does. Raises `ActionRefused`."""
        ...

    def crash(self, at: str) -> None:
        """Have the worker die at this point the next time that it comes there, or now; another takes its place."""
        ...

    def armed(self) -> Sequence[str]:
        """The points that the worker has not come to."""
        ...

    def now(self) -> datetime:
        """The time."""
        ...

    def history(self, saga: UUID) -> Sequence[Recorded]:
        """The saga's events so far."""
        ...

    def quarantined(self, saga: UUID) -> str:
        """Why the saga could not be decided; empty where it could."""
        ...

    def close(self) -> None:
        """End it, and give back what it uses."""
        ...
