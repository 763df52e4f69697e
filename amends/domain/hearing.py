"""Which of the events that came a waiting step consumes."""

from __future__ import annotations

from amends.domain.state import Kept
from amends.domain.turn import Turn
from amends.domain.wire import Outcome


def heard(turn: Turn, step: str) -> tuple[Kept, Outcome] | None:
    """The first of the kept events that this waiting step consumes, and what it means to it."""
    wait = turn.definition.step(step).wait
    assert wait is not None
    view = turn.definition.view(turn.state)
    for kept in turn.state.kept:
        meaning = wait.hears(view, kept.subject, kept.event)
        if meaning is not None:
            return kept, meaning
    return None
