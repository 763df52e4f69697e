"""What is drawn of sagas that wait for an event, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from rich.console import Console

from amends.cli.drawing import standing_table
from amends.domain import events as e
from amends.domain.evolve import fold
from amends.projections.story import standing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMMON = {"at": NOON, "cause": "m", "by": "worker"}


@pytest.mark.parametrize(
    ("due", "until"),
    [(NOON + timedelta(hours=24), "2026-01-02 12:00:00 UTC"), (None, "it comes")],
)
def test_a_step_that_waits_for_an_event(due: datetime | None, until: str) -> None:
    started = e.SagaStarted(
        **COMMON, saga="booking", definition=1, namespace="amends", key="b-1", subject="s", start={}
    )
    waiting = e.WaitStarted(**COMMON, step="host_confirms", subjects=("hosts.answered",), due=due or NOON)
    history: list[e.SagaEvent] = [started, waiting]
    if due is None:
        history.append(e.WaitTimedOut(**COMMON, step="host_confirms"))
        history.append(e.WaitParked(**COMMON, step="host_confirms", reason="nobody answered"))
    state = fold(history, uuid4())
    assert state is not None
    facts = {**standing(state, len(history)), "quarantine": None, "version_missing": False}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(standing_table(facts))
    drawn = " ".join(captured.get().split())
    assert f"hosts.answered (host_confirms), since 2026-01-01 12:00:00 UTC and until {until}" in drawn
    assert ("a person should look at it; it waits on" in drawn) is (due is None)
    assert "host_confirms waiting" in drawn
