"""Whatever comes, in whatever order: a process manager keeps the invariants and decides nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from amends.domain.errors import ActionRefused
from amends.domain.handlers.errors import BadAction
from amends.domain.inputs import Cancel, Resume, Suspend
from amends.domain.told import Reply
from amends.domain.wire import Outcome
from tests.domain.fulfilment import Approved, Charged, Disputed, Fulfilment, Ordered, PaidAhead
from tests.domain.manager_play import Told

OUTCOMES = st.sampled_from([Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.FAILED])
WAITS = st.sampled_from([timedelta(seconds=1), timedelta(minutes=2), timedelta(days=1)])
Act = Callable[[Told, int], None]


def answer(place: int, outcome: Outcome) -> Act:
    """An answer to one of the commands that are out, or were."""

    def act(told: Told, number: int) -> None:
        command = told.commands[place % len(told.commands)]
        body = Charged(payment_id="p1").model_dump_json().encode()
        told.give(Reply(f"answer-{number}", command.command_id, outcome, body=body, reason="no"))

    return act


def tell(event: Approved | Disputed) -> Act:
    return lambda told, number: _done(told.tell(event, message_id=f"event-{number % 3}"))


def start(event: Ordered | PaidAhead) -> Act:
    return lambda told, number: _done(told.start(event, message_id=f"start-{number % 3}"))


def wait(duration: timedelta) -> Act:
    return lambda told, _: _done(told.wait(duration))


def action(kind: type[Cancel] | type[Suspend] | type[Resume]) -> Act:
    return lambda told, number: _done(told.give(kind(f"action-{number}", "because")))


def _done(_: object) -> None:
    return None


ACTS = st.one_of(
    st.builds(answer, st.integers(0, 20), OUTCOMES),
    st.sampled_from([tell(Approved(order_id="o1")), tell(Disputed(payment_id="p1"))]),
    st.sampled_from([start(Ordered(order_id="o1")), start(PaidAhead(order_id="o1"))]),
    st.builds(wait, WAITS),
    st.sampled_from([action(Cancel), action(Suspend), action(Resume)]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=25))
def test_any_sequence_keeps_the_invariants(acts: list[Act]) -> None:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    for number, act in enumerate(acts):
        with suppress(ActionRefused, BadAction):
            act(told, number)
    assert told.state.status.final or told.state.suspended or told.state.wake_up is not None
