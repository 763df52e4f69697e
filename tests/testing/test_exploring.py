"""Every way in which a saga can go: what is found, and what is merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from amends import (
    Action,
    Command,
    Event,
    Foreign,
    ProcessManager,
    Retry,
    Saga,
    compensate,
    complete,
    on,
    on_timeout,
    send,
    starts,
    step,
    timeout,
    wait_for,
)
from amends.domain import events as e
from amends.domain.decide import take_turn
from amends.domain.definition import Definition
from amends.domain.inputs import Cancel
from amends.domain.told import Reply, Start, Tick
from amends.domain.wire import Direction, Outcome
from amends.examples.order import Order
from amends.projections.design import failures, outline
from amends.testing.exploring import Exploration, explore
from amends.testing.exploring.explorer import Explorer
from amends.testing.exploring.likeness import bounded, likeness
from amends.testing.exploring.moves import Moves
from benchmarks.check import Undo, Went, branches


class Paid(Event, subject="pay.paid"):
    payment: str


class Pay(Command[Paid], subject="pay.pay"):
    order_id: str


class Refund(Command, subject="pay.refund"):
    payment: str = ""


def texts(found: Exploration) -> list[tuple[str, str, str]]:
    return [(f.point, f.what, f.text()) for f in found.failures]


@pytest.mark.parametrize("definition", [Order.definition, branches(2, 2)], ids=["order", "branches"])
def test_what_is_undone_is_what_describe_says_of_it(definition: Definition) -> None:
    found = explore(definition)
    assert found.settles
    drawn = failures(outline(definition.shape()))
    assert texts(found) == [(f.point, f.what, f.text()) for f in drawn]


def test_an_order_ends_completed_or_compensated_and_parks_where_a_service_must_do_its_part() -> None:
    found = explore(Order.definition)
    assert found.ends == {"completed", "compensated"}
    assert found.parks == {
        "closing create_shipment",
        "send_notification",
        "undoing charge_payment",
        "undoing reserve_inventory",
    }


def test_each_choice_in_the_start_event_is_explored() -> None:
    found = explore(Order.definition)
    assert found.starts == 3  # card, transfer, and all texts alike
    assert found.states == 2 * explore(Order.definition, [ORDER]).states  # nothing depends on texts


def test_equal_states_are_merged_so_that_branches_add_up_instead_of_multiplying() -> None:
    one, two, three = (explore(branches(number, 1)).states for number in (1, 2, 3))
    assert two < 3 * one
    assert three < 3 * two


def test_twelve_steps_in_three_branches_have_few_enough_states_to_be_explored_in_seconds() -> None:
    found = explore(branches(3, 3), limit=4_000)
    assert found.settles
    assert found.moves < 25_000


def test_a_long_exploration_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    found = explore(branches(2, 2), progress=lambda explored, waiting: told.append((explored, waiting)))
    assert len(told) > 3
    assert [explored for explored, _ in told] == sorted(explored for explored, _ in told)
    assert told[-1] == (found.states, 0)


def test_states_that_differ_in_a_reply_are_told_apart_where_a_function_looks_at_it() -> None:
    class Seated(Event, subject="seats.seated"):
        window: bool

    class Seat(Command[Seated], subject="seats.seat"):
        pass

    class Flight(Saga[Went], name="flight", version=1, key="order_id"):
        @step(pivot=True)
        def seat(self) -> Seat:
            return Seat()

        @step
        def tell(self) -> Undo:
            if self.reply(Flight.seat).window:
                raise ValueError("who sits at the window?")
            return Undo()

    (problem,) = explore(Flight.definition).problems
    assert problem.what == "ValueError: who sits at the window?"
    assert [str(move) for move, _ in problem.trace][1:] == ["seat: succeeded with window=true"]


def test_a_step_that_depends_on_two_texts_being_equal_is_explored_both_ways() -> None:
    class Changed(Event, subject="plans.changed"):
        account: str
        old: str
        new: str

    class Change(Saga[Changed], name="change", version=1, key="account"):
        @step(pivot=True)
        def pay(self) -> Pay | None:
            return None if self.start.old == self.start.new else Pay(order_id=self.key)

        @step
        def tell(self) -> Undo:
            return Undo()

    found = explore(Change.definition)
    assert found.problems == []
    assert "closing pay" in found.parks
    starts = [{"account": "a", "old": "x", "new": new} for new in "xy"]
    assert found.states == sum(explore(Change.definition, [start]).states for start in starts)


def test_a_trace_tells_which_choice_of_a_start_event_leads_there() -> None:
    class Asked(Event, subject="shop.asked"):
        order_id: str
        gift: bool = False

    class Gifts(Saga[Asked], name="gifts", version=1, key="order_id"):
        @step
        def pay(self) -> Pay:
            if self.start.gift:
                raise ValueError("who pays for a gift?")
            return Pay(order_id=self.key)

    (problem,) = explore(Gifts.definition).problems
    assert problem.what == "ValueError: who pays for a gift?"
    assert [str(move) for move, _ in problem.trace] == ["shop.asked starts it with gift=true"]


class NeedsReply(Saga[Went], name="needs-reply", version=1, key="order_id"):
    @step
    def pay(self) -> Pay:
        return Pay(order_id=self.key)

    @pay.compensate
    def refund(self) -> Refund:
        return Refund(payment=self.reply(NeedsReply.pay).payment)


@pytest.mark.semantics("compensation-without-reply")
def test_a_compensation_that_needs_the_reply_is_found_on_the_shortest_way() -> None:
    found = explore(NeedsReply.definition)
    assert not found.settles
    (problem,) = found.problems
    assert problem.what.startswith("NoReply: step 'pay' has no reply")
    assert [str(move) for move, _ in problem.trace] == ["shop.went starts it", "cancelled"]
    assert [event.type for event in problem.trace[0][1]] == ["saga.started", "command.recorded"]


def test_a_function_that_is_not_pure_is_found() -> None:
    numbers = count()

    class Dice(Saga[Went], name="dice", version=1, key="order_id"):
        @step
        def pay(self) -> Pay:
            return Pay(order_id=f"{self.key}-{next(numbers)}")

    (problem,) = explore(Dice.definition).problems
    assert problem.what.startswith("NotPure: pay: expected its function to build the same command")


def test_a_step_that_some_start_events_skip_is_explored_both_ways() -> None:
    class Placed(Event, subject="shop.placed"):
        order_id: str
        express: bool = False

    class Maybe(Saga[Placed], name="maybe", version=1, key="order_id"):
        @step
        def pay(self) -> Pay | None:
            return Pay(order_id=self.key) if self.start.express else None

    found = explore(Maybe.definition)
    assert found.settles
    assert found.ends == {"completed", "compensated"}
    assert found.never == []
    found = explore(Maybe.definition, [{"order_id": "o1", "express": False}])
    assert found.ends == {"completed"}
    assert {f.text() for f in found.failures if f.point == "pay"} == {"cannot happen"}
    assert found.never == ["pay"]


class Answered(Event, subject="host.answered"):
    order_id: str
    accepted: bool


class Booked(Event, subject="cars.booked"):
    order_id: str


class Book(Command[Booked], subject="cars.book"):
    pass


class Stay(Saga[Went], name="stay", version=1, key="order_id"):
    """An approval beside a step, a foreign pivot, and a wait after it."""

    @step(after=[], ask_again=[timedelta(days=1), timedelta(days=3)])
    def pay(self) -> Pay:
        return Pay(order_id=self.key)

    @pay.compensate
    def refund(self) -> Undo:
        return Undo()

    host = wait_for(
        Answered,
        timeout=timedelta(hours=24),
        key="order_id",
        after=[],
        rejected_if=lambda answer: not answer.accepted,
    )

    @step(after=[pay, host], pivot=True, foreign=Foreign(key="order_id"), retry=Retry(attempts=1))
    def car(self) -> Book:
        return Book()

    review = wait_for(Answered, timeout=timedelta(days=7), key="order_id", on_timeout="park")


def test_waits_rounds_and_foreign_services_are_explored() -> None:
    found = explore(Stay.definition)
    assert found.problems == []
    assert found.ends == {"completed", "compensated"}
    assert found.parks == {"car", "review", "undoing pay"}
    table = {(f.point, f.what.partition(",")[0]): f.text() for f in found.failures}
    assert table["host", "no host.answered within 24 h"] == "(service.undo) → compensated"
    assert table["pay", "rejected"] == "nothing to undo → compensated"
    assert ("car", "rejected") not in table  # no event of its service says so


class Nothing(BaseModel):
    pass


class Manager(
    ProcessManager[Nothing], name="manager", version=1, deadline=timedelta(days=1), sends=[Pay, Undo]
):
    @starts(Went, key="order_id")
    def went(self, event: Went) -> Iterator[Action]:
        yield send(Pay(order_id=self.key), compensate=Undo())
        yield timeout("late", after=timedelta(hours=1))

    @on(Answered, key="order_id")
    def answered(self, event: Answered) -> Iterator[Action]:
        yield complete() if event.accepted else compensate("the host says no")

    @on_timeout("late")
    def late(self) -> Iterator[Action]:
        yield complete()


@pytest.mark.semantics("two-styles")
def test_a_process_manager_of_handlers_is_explored_with_every_event_and_timeout() -> None:
    found = explore(Manager.definition)
    assert found.problems == []
    assert found.ends == {"completed", "compensated"}
    table = {(f.point, f.what): f.text() for f in found.failures}
    assert table["host.answered comes", "a handler decides so"] == "service.undo → compensated"
    assert table["pay#1", "rejected"] == "nothing to undo → compensated"


def without_retries(*given: Any) -> Any:
    """A core that forgets the timer of every retry that it plans."""
    turn = take_turn(*given)
    for event in turn.events:
        if isinstance(event, e.RetryScheduled) and event.direction is Direction.FORWARD:
            known = turn.state.step(event.step)
            forgotten = known.but(forward=known.forward.but(retry=None))
            turn._state = turn.state.but(steps={**turn.state.steps, event.step: forgotten})
    return turn


def test_a_saga_that_nothing_will_ever_wake_is_found() -> None:
    class Plain(Saga[Went], name="plain", version=1, key="order_id"):
        @step
        def pay(self) -> Pay:
            return Pay(order_id=self.key)

    problem = explore(Plain.definition, decide=without_retries).problems[0]
    assert problem.what == "running, and no timer will ever wake it"
    assert str(problem.trace[-1][0]) in ("pay: failed", "pay: no answer")


def that_never_parks(*given: Any) -> Any:
    """A core that tells no person."""
    turn = take_turn(*given)
    steps = {
        name: known.but(compensation=known.compensation.but(parked=False))
        for name, known in turn.state.steps.items()
    }
    turn._state = turn.state.but(steps=steps)
    return turn


def test_a_way_round_and_round_of_which_nobody_is_told_is_found() -> None:
    problem = explore(branches(1, 1), decide=that_never_parks).problems[0]
    assert problem.what == "it can go round for ever, and no person is told"


def that_hears_no_undoing(*given: Any) -> Any:
    """A core that passes over what says that something is undone."""
    definition, saga_id, state, reply, now, by = given
    if isinstance(reply, Reply) and reply.outcome is Outcome.SUCCEEDED:
        found = state.find(reply.command_id)
        if found is not None and found.direction is Direction.COMPENSATE:
            return take_turn(definition, saga_id, state, Tick(until=state.at), now, by)
    return take_turn(*given)


def test_a_state_from_which_nothing_leads_to_an_end_is_found() -> None:
    problem = explore(branches(1, 1), decide=that_hears_no_undoing).problems[0]
    assert problem.what == "from here no answer whatever leads to an end"


def test_an_input_that_counts_twice_after_a_crash_is_found() -> None:
    applied: dict[int, Any] = {}

    def forgetful(*given: Any) -> Any:
        turn = applied.get(id(given[3])) if isinstance(given[3], Cancel) else None
        applied[id(given[3])] = turn or take_turn(*given)
        return applied[id(given[3])]

    problem = explore(branches(1, 1), decide=forgetful).problems[0]
    assert problem.what.startswith("DecidesTwice: expected nothing when it is told the same once more")
    assert str(problem.trace[-1][0]) == "cancelled"


def compensating_forwards(*given: Any) -> Any:
    """A core in which steps have no order on the way back."""
    definition = replace(given[0], steps=tuple(replace(each, after=()) for each in given[0].steps))
    compensating = given[2] is not None and not isinstance(given[3], Tick)
    return take_turn(definition if compensating else given[0], *given[1:])


def test_an_invariant_that_is_broken_on_some_way_is_found() -> None:
    problem = explore(branches(1, 2), decide=compensating_forwards).problems[0]
    assert problem.what.startswith("invariant 8: ") or problem.what.startswith("invariant 7: ")


# The abstractions, against what they leave out.


def explorer(definition: Definition, start: dict[str, Any]) -> Explorer:
    made = Explorer(bounded(definition), definition.start.subject, start)
    made.run(lambda explored, waiting: None, 100_000)
    assert made.problems == []
    return made


def test_exploring_one_step_after_the_other_finds_what_every_order_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    definition = branches(2, 1)
    reduced = explore(definition)
    monkeypatch.setattr(Moves, "_one_by_one", lambda *_: False)
    every = explore(definition)
    assert every.states > reduced.states
    assert (every.ends, every.parks, every.problems) == (reduced.ends, reduced.parks, [])
    assert texts(every) == texts(reduced)


ORDER = {
    "order_id": "o1",
    "customer": "c",
    "sku": "s",
    "quantity": 1,
    "total": "9",
    "country": "CH",
    "method": "card",
}


@pytest.fixture(scope="module")
def every_order() -> Explorer:
    return explorer(Order.definition, ORDER)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_state_that_a_saga_reaches_in_real_time_is_missed(
    every_order: Explorer, data: st.DataObject
) -> None:
    definition, moves = every_order._definition, every_order._moves
    now = datetime(2026, 1, 1, tzinfo=UTC)
    begin = Start("start", every_order._id, "check", "o1", "orders.placed", ORDER)
    state = take_turn(definition, begin.saga_id, None, begin, now, "walk").state
    for _ in range(data.draw(st.integers(1, 25))):
        answers = [move.given for move in moves.of(state) if isinstance(move.given, Reply | Cancel)]
        waits = [Tick()] if state.wake_up else []
        if not (answers or waits):
            break
        given = data.draw(st.sampled_from([*answers, *waits]))
        if isinstance(given, Tick):
            assert state.wake_up is not None
            now = max(now, state.wake_up)
        else:
            now += timedelta(seconds=data.draw(st.sampled_from([0, 1, 40])))
            until = state.wake_up
            now = now if until is None else min(now, until)
        state = take_turn(definition, begin.saga_id, state, given, now, "walk").state
        missed = likeness(definition, state) not in every_order._known
        assert not missed, state  # the states that are known would not fit a report
