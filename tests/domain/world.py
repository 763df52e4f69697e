"""A participant that keeps the promises of "What a keeping participant promises", as a model in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from amends.domain import events as e
from amends.domain.wire import Direction, Outcome
from amends.testing.invariants import Deed, Fact

Behaviour = Literal["do", "reject", "fail"]
"""What the handler would do, if it is asked at all."""


@dataclass
class Row:
    outcome: Outcome | None = None
    compensated: bool = False


@dataclass
class World:
    """Every service at once: one row per forward key, tombstones, and failures by command id."""

    rows: dict[UUID, Row] = field(default_factory=dict)
    failed: set[UUID] = field(default_factory=set)
    refused: set[UUID] = field(default_factory=set)
    facts: list[Fact] = field(default_factory=list)

    def handle(self, command: e.CommandRecorded, behaviour: Behaviour) -> Outcome:
        key = command.forward_key or command.key
        row = self.rows.setdefault(key, Row())
        if command.command_id in self.failed:
            return Outcome.FAILED
        if behaviour == "fail" and self._must_run(command, row):
            self.failed.add(command.command_id)
            return Outcome.FAILED
        if command.direction is Direction.COMPENSATE:
            return self._compensate(command, row, key, behaviour)
        if row.outcome is None:
            self._decide(row, key, "bury" if command.direction is Direction.CLOSE else behaviour)
        assert row.outcome is not None
        return row.outcome

    def close(self, key: UUID) -> Outcome:
        """What became of this key, which is settled from now on; known to whoever asks."""
        row = self.rows.setdefault(key, Row())
        if row.outcome is None:
            self._decide(row, key, "bury")
        assert row.outcome is not None
        return row.outcome

    def undo(self, key: UUID) -> None:
        """See to it that this key has no effect, now or later."""
        row = self.rows[key] if self.close(key) is Outcome.SUCCEEDED else Row(compensated=True)
        if not row.compensated:
            row.compensated = True
            self.facts.append(Fact(key, Deed.UNDONE))

    def _must_run(self, command: e.CommandRecorded, row: Row) -> bool:
        if command.direction is Direction.COMPENSATE:
            return (
                row.outcome is Outcome.SUCCEEDED and not row.compensated and command.key not in self.refused
            )
        return row.outcome is None

    def _compensate(self, command: e.CommandRecorded, row: Row, key: UUID, behaviour: Behaviour) -> Outcome:
        if command.key in self.refused:
            return Outcome.REJECTED
        if row.outcome is None:
            self._decide(row, key, "bury")
        elif row.outcome is Outcome.SUCCEEDED and not row.compensated:
            if behaviour == "reject":
                self.refused.add(command.key)
                return Outcome.REJECTED
            row.compensated = True
            self.facts.append(Fact(key, Deed.UNDONE))
        return Outcome.SUCCEEDED

    def _decide(self, row: Row, key: UUID, how: str) -> None:
        row.outcome = Outcome.SUCCEEDED if how == "do" else Outcome.REJECTED
        deeds = {"do": Deed.DONE, "reject": Deed.REJECTED, "bury": Deed.BURIED}
        self.facts.append(Fact(key, deeds[how]))
