"""What the participant remembers of the keys in one batch: loaded under locks, changed, written back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from amends.domain.wire import Outcome


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a command, and the body that tells it."""

    outcome: Outcome
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """An event to publish: its subject, without namespace, and its body."""

    subject: str
    body: bytes


@dataclass(slots=True)
class Key:
    """The one row of a forward key. `outcome` is succeeded, rejected, or nothing definite yet.

    `fresh`: this batch inserted it, so nothing was known of the key before.
    """

    forward_key: str
    action: str
    outcome: Outcome | None = None
    answer: bytes | None = None
    compensated: bool = False
    compensation_answer: bytes | None = None
    fresh: bool = True
    changed: bool = False

    def decide(self, answer: Answer) -> None:
        """Give the key its definite answer, once and for ever."""
        assert self.outcome is None, f"{self.forward_key} is decided already"
        self.outcome, self.answer, self.changed = answer.outcome, answer.body, True

    def compensate(self, answer: Answer) -> None:
        """Note that the effect was undone."""
        assert self.outcome is Outcome.SUCCEEDED, f"{self.forward_key}: nothing to undo"
        assert not self.compensated, f"{self.forward_key}: undone already"
        self.compensated, self.compensation_answer, self.changed = True, answer.body, True


@dataclass(slots=True)
class Memory:
    """The rows of a batch's keys, and the answers that hold for a command id or a compensation key only.

    `now` is the database's time, taken after the rows were locked. A key without a row is one that may have
    been forgotten.
    """

    now: datetime
    horizon: timedelta
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    failed: dict[str, bytes] = field(default_factory=dict[str, bytes])
    refused: dict[str, bytes] = field(default_factory=dict[str, bytes])
    new_failed: dict[str, str] = field(default_factory=dict[str, str])
    new_refused: dict[str, str] = field(default_factory=dict[str, str])

    def fail(self, command_id: str, forward_key: str, body: bytes) -> None:
        """Remember for a command id that it took no effect and never will."""
        self.failed[command_id], self.new_failed[command_id] = body, forward_key

    def refuse(self, key: str, forward_key: str, body: bytes) -> None:
        """Remember for a compensation's own key that it was refused."""
        self.refused[key], self.new_refused[key] = body, forward_key

    def changed(self) -> Iterable[Key]:
        """The rows to write back."""
        return (key for key in self.keys.values() if key.changed)
