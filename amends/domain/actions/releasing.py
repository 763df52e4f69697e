"""Release: a saga that was in quarantine is tried again."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.inputs import Release
from amends.domain.turn import Turn


def on_release(turn: Turn, release: Release) -> None:
    """Record it. Nothing follows here: what is held for the saga is told to it anew."""
    turn.record(e.SagaReleased, reason=release.reason)
