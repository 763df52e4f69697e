"""What became of a step, as a person finds out who looks into the services' own databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amends.domain.wire import Outcome
from amends.participant.memory import Key
from amends.testing.simulation.record import Record
from amends.testing.simulation.world import every


class Truth:
    """`key` finds what a participant knows of a forward key; `has_done` tells whether a foreign service has done a
    thing for a saga's key, which says something only while nothing is on its way: `is_quiet`.
    """

    def __init__(
        self,
        key: Callable[[str], Key | None],
        has_done: Callable[[str, str], bool],
        is_quiet: Callable[[], bool],
    ) -> None:
        self._key = key
        self._has_done = has_done
        self._is_quiet = is_quiet

    def answer(self, record: Record, step: str) -> tuple[Outcome, dict[str, Any]] | None:
        """Whether the step took effect, and what its service would have replied; None: nobody can tell more."""
        rounds = record.ledger.steps[step].forward.rounds if step in record.ledger.steps else []
        if not rounds or rounds[-1].rejected:
            return None
        subject = rounds[-1].subject
        if record.plan.step(step).forward.foreign is not None:
            outcome = self._abroad(record, subject)
        else:
            known = self._key(str(rounds[-1].key))
            outcome = known.outcome if known else None
        if outcome is not Outcome.SUCCEEDED:
            return None if outcome is None else (outcome, {})
        return outcome, dict(every(record.plan.step(step).reply_type(subject))[0])

    def _abroad(self, record: Record, thing: str) -> Outcome | None:
        if not self._is_quiet():
            return None
        assert record.state is not None
        return Outcome.SUCCEEDED if self._has_done(thing, record.state.key) else Outcome.REJECTED
