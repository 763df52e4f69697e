"""What `amends show` says of what a saga waits for, without a server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from rich.console import Console

from amends.cli.drawing import standing_table
from amends.domain import events as e
from amends.domain.evolve import fold
from amends.domain.inputs import Abandon, Reschedule
from amends.domain.state import SagaState
from amends.projections.story import standing
from amends.projections.times import utc
from tests.domain.driver import Play
from tests.domain.test_rounds import Renewal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMMON = {"at": NOON, "cause": "m", "by": "worker"}


def shown(state: SagaState) -> str:
    facts = {**standing(state, 9), "quarantine": None, "version_missing": False}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(standing_table(facts))
    return " ".join(captured.get().split())


def asked() -> Play:
    return Play()


def refused_once() -> Play:
    play = Play()
    play.fail("reserve", reason="no stock system")
    return play


def undone() -> Play:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    return play


def closed() -> Play:
    play = Play()
    play.succeed("reserve", "charge")
    play.time_out("ship")
    return play


def answered_while_suspended() -> Play:
    play = Play()
    play.suspend()
    play.fail("reserve")
    return play


def called_off() -> Play:
    play = refused_once()
    play.give(Reschedule("stop", "enough", by="ops", step="reserve"))
    return play


def to_be_asked_again() -> Play:
    """The card was declined, and is charged again after a day."""
    play = Play(Renewal)
    play.succeed("reserve")
    play.reject("charge")
    return play


def unlimited() -> Play:
    play = Play()
    play.give(Reschedule("stop", "it is slow today", by="ops", step="reserve"))
    return play


@pytest.mark.parametrize(
    ("play", "told"),
    [
        (asked, "inventory to do reserve (attempt 1): asked {at}, awaited until {due} at the latest"),
        (refused_once, "the next attempt to do reserve: at {due}, after 1 in vain"),
        (to_be_asked_again, "the next attempt to do charge: at {due}, anew after a rejection"),
        (undone, "inventory to undo reserve (attempt 1): asked {at}, awaited until {due} at the latest"),
        (closed, "shipping to say whether ship happened (attempt 1): asked {at}, awaited until {due}"),
        (
            answered_while_suspended,
            "an operator to resume it: what follows from the answer to do reserve is decided then",
        ),
        (called_off, "a person to retry: the next attempt to do reserve was called off (enough)"),
        (
            unlimited,
            "inventory to do reserve (attempt 1): asked {at}, awaited without a limit (it is slow today)",
        ),
    ],
)
def test_what_a_saga_waits_for(play: Callable[[], Play], told: str) -> None:
    state = play().state
    [(_, _, line)] = state.active()
    due = utc(line.due) if line.due else ""
    at = utc(state.at)
    assert f"waits for {told.format(at=at, due=due)}" in shown(state)


def test_an_abandoned_saga_names_the_command_that_tells_why() -> None:
    play = Play()
    play.give(Abandon("abandon-1", "hopeless", by="anna"))
    assert "an operator abandoned it: `amends history` says who, why, and what was left" in shown(play.state)
    assert "abandoned" not in shown(undone().state)


def test_the_deadline_is_told_while_it_counts_and_when_it_passed() -> None:
    play = Play()
    assert "deadline 2026-01-01 01:00:00.000 UTC " in shown(play.state)
    play.succeed("reserve", "charge", "ship")
    play.wait(timedelta(hours=2))
    assert "deadline 2026-01-01 01:00:00.000 UTC, which passed" in shown(play.state)
    assert "deadline" not in shown(undone().state)


@pytest.mark.parametrize(
    ("due", "until"),
    [
        (NOON + timedelta(hours=24), "until 2026-01-02 12:00:00.000 UTC at the latest"),
        (None, "without a limit"),
    ],
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
    drawn = shown(state)
    assert f"hosts.answered (step host_confirms): since 2026-01-01 12:00:00.000 UTC, {until}" in drawn
    assert ("a person should look at it; it waits on" in drawn) is (due is None)
    assert "host_confirms waiting" in drawn
