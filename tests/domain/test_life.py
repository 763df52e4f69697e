"""Which status follows which, and that the last three are final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

import pytest

from amends.domain import events as e
from amends.domain.errors import ActionRefused
from amends.domain.evolve import fold
from amends.domain.inputs import (
    Abandon,
    Action,
    Cancel,
    Resume,
    Retry,
    Settle,
    Skip,
    Suspend,
)
from amends.domain.told import Tick
from amends.domain.wire import Outcome
from tests.domain.driver import SECOND, Play

YEAR = timedelta(days=365)


def completed() -> Play:
    play = Play()
    play.succeed("reserve", "charge", "ship", "notify")
    return play


def turned_back() -> Play:
    play = Play()
    play.succeed("reserve")
    play.reject("charge")
    return play


def compensated() -> Play:
    play = turned_back()
    play.succeed("undo reserve")
    return play


def cancelled() -> Play:
    play = Play()
    play.succeed("reserve")
    play.cancel()
    play.succeed("undo charge", "undo reserve")
    return play


def overdue() -> Play:
    play = Play()
    play.wait(SECOND * 3600)
    play.succeed("undo reserve")
    return play


def abandoned() -> Play:
    play = Play()
    play.succeed("reserve")
    play.give(Abandon("a1", "the shop is closed", by="ann"))
    return play


def abandoned_while_compensating() -> Play:
    play = turned_back()
    play.give(Abandon("a1", "nobody can undo it", by="ann"))
    return play


def statuses(play: Play) -> list[str]:
    """The statuses that the saga had, in their order."""
    lengths = range(1, len(play.events) + 1)
    states = [fold(play.events[:length], play.id) for length in lengths]
    return [str(status) for status, _ in groupby(state.status for state in states if state)]


@pytest.mark.semantics("life")
@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (completed, ["running", "completed"]),
        (compensated, ["running", "compensating", "compensated"]),
        (cancelled, ["running", "compensating", "compensated"]),
        (overdue, ["running", "compensating", "compensated"]),
        (abandoned, ["running", "failed"]),
        (abandoned_while_compensating, ["running", "compensating", "failed"]),
    ],
)
def test_which_status_follows_which(live: Callable[[], Play], expected: list[str]) -> None:
    assert statuses(live()) == expected


@pytest.mark.semantics("life")
def test_nothing_but_an_operator_makes_a_saga_fail() -> None:
    play = turned_back()
    for _ in range(50):
        play.tick()
    play.reject("undo reserve")
    assert play.status == "compensating"
    [event] = play.give(Abandon("a1", "nobody can undo it", by="ann"))
    assert isinstance(event, e.SagaFailed)
    assert (event.by, event.reason) == ("ann", "nobody can undo it")


ACTIONS: list[Action] = [
    *(action(f"late {action.__name__}", "too late") for action in (Cancel, Suspend, Resume, Abandon, Retry)),
    Skip("late skip", "too late", step="reserve"),
    Settle("late settle", "too late", step="reserve", outcome=Outcome.REJECTED),
]


REOPENS = ("compensated", "charge", Outcome.SUCCEEDED)
"""It was rejected, and so never undone."""


@pytest.mark.semantics("final")
@pytest.mark.parametrize("live", [completed, compensated, abandoned, abandoned_while_compensating])
def test_what_is_over_stays_so_whatever_comes(live: Callable[[], Play]) -> None:
    play = live()
    status, sent = play.status, play.sent
    play.give(replace(play.first, message_id="start-2"))
    play.now += YEAR
    play.give(Tick())
    for command in dict.fromkeys(sent):
        for outcome in Outcome.FAILED, Outcome.SUCCEEDED, Outcome.REJECTED:
            if (status, command, outcome) != REOPENS:
                play.answer(command, outcome)
    for action in ACTIONS:
        with pytest.raises(ActionRefused):
            play.give(action)
    assert (play.status, play.sent, play.state.wake_up) == (status, sent, None)
