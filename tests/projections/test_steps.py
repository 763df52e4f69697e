"""Where a step stands, in words: nothing is claimed of its effect that nobody knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from amends.domain.inputs import Skip
from amends.domain.policy import Retry
from amends.domain.saga import Saga, step
from amends.domain.wire import Outcome
from amends.projections.steps import where
from tests.domain.driver import Charge, Placed, Play, Reserve


def asked() -> Play:
    play = Play()
    play.succeed("reserve")
    return play


def failed() -> Play:
    play = asked()
    play.fail("charge", reason="the bank is shut")
    return play


def timed_out() -> Play:
    play = asked()
    play.time_out("charge")
    return play


def declined() -> Play:
    play = asked()
    play.reject("charge", reason="card declined")
    return play


def after(play: Callable[[], Play], *answers: str) -> Callable[[], Play]:
    def played() -> Play:
        made = play()
        made.succeed(*answers)
        return made

    return played


def contradicted() -> Play:
    play = declined()
    play.succeed("undo reserve")
    play.answer("charge", Outcome.SUCCEEDED)
    return play


def refused_after_the_pivot() -> Play:
    play = Play()
    play.succeed("reserve", "charge", "ship")
    play.reject("notify", reason="unknown address")
    return play


def skipped_unanswered() -> Play:
    play = asked()
    play.give(Skip("skip-1", "they are closed", by="ops", step="charge"))
    return play


class Final(Saga[Placed], name="final", version=1, key="order_id"):
    """Nothing of it can be undone."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step(retry=Retry(attempts=1))
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)


def never_undone() -> Play:
    play = Play(Final)
    play.succeed("reserve")
    play.time_out("charge")
    return play


@pytest.mark.parametrize(
    ("play", "name", "told"),
    [
        (Play, "reserve", "asked for, not answered yet"),
        (Play, "charge", "still to come"),
        (lambda: Play(limited=("inventory",)), "reserve", "held by limits, not asked for yet"),
        (asked, "reserve", "done"),
        (failed, "charge", "asked for, and may have happened"),
        (timed_out, "charge", "being undone in case it happened: nobody knows whether it did"),
        (
            after(timed_out, "undo charge"),
            "charge",
            "undone in case it happened: nobody knows whether it did",
        ),
        (after(timed_out, "undo charge"), "reserve", "being undone"),
        (after(timed_out, "undo charge", "undo reserve"), "reserve", "undone"),
        (declined, "charge", "given up: rejected: card declined"),
        (declined, "ship", "never asked for"),
        (never_undone, "reserve", "done, and not to be undone"),
        (never_undone, "charge", "may have happened, and is not to be undone"),
        (contradicted, "charge", "being undone"),
        (after(contradicted, "undo charge"), "charge", "undone"),
        (refused_after_the_pivot, "notify", "rejected so far"),
        (skipped_unanswered, "charge", "skipped; it may have happened"),
    ],
)
def test_where_a_step_stands(play: Callable[[], Play], name: str, told: str) -> None:
    assert where(play().state, name) == told
