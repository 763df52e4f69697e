"""Process managers in the event-handler style: what handlers decide, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from amends import Action, ProcessManager, also_known_as, complete, on, publish, send, starts, timeout
from amends.domain import events as e
from amends.domain.correlation import LearntKey
from amends.domain.definition import InvalidMessage
from amends.domain.errors import ActionRefused
from amends.domain.evolve import fold
from amends.domain.handlers.errors import BadAction
from amends.domain.history import read
from amends.domain.inputs import Reschedule, Resume, Settle, Skip, Suspend
from amends.domain.wire import Outcome
from tests.domain.fulfilment import (
    DAY,
    MINUTE,
    SECOND,
    Approved,
    Charge,
    Charged,
    Disputed,
    Fulfilment,
    FulfilmentState,
    Invoice,
    Ordered,
    Pack,
    PaidAhead,
    Ship,
    Unpack,
    Unreadable,
)
from tests.domain.manager_play import Told

ORDERED = Ordered(order_id="o1")
CHARGED = Charged(payment_id="p1")
APPROVED = Approved(order_id="o1")
BOTH = ["payments.charge", "warehouse.pack"]


def fulfilment() -> Told:
    return Told(Fulfilment, ORDERED)


def paid() -> Told:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    told.succeed("warehouse.pack")
    return told


# What a handler decides is recorded


@pytest.mark.semantics("handlers")
def test_a_handler_sends_commands_side_by_side_and_the_saga_waits_for_their_answers() -> None:
    told = fulfilment()
    assert told.sent == BOTH
    assert [event.step for event in told.commands] == ["charge#1", "pack#2"]
    assert told.types == [
        "saga.started", "event.handled", "send.requested", "send.requested", "timeout.requested",
        "command.recorded", "command.recorded",
    ]  # fmt: skip


@pytest.mark.semantics("sends")
def test_the_key_of_a_send_is_its_ordinal_in_the_history_and_the_same_for_every_attempt() -> None:
    told = fulfilment()
    told.succeed("warehouse.pack")
    told.wait(MINUTE)
    told.wait(SECOND * 2)
    charges = [event for event in told.commands if event.subject == "payments.charge"]
    assert [event.attempt for event in charges] == [1, 2]
    assert len({event.key for event in charges}) == 1
    assert len({event.key for event in told.commands}) == 2


@pytest.mark.semantics("handlers")
def test_what_a_handler_changes_in_its_state_is_recorded_as_the_difference() -> None:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    told.tell(Approved(order_id="o1", by="Ada"))
    changes = [event.changed for event in told.events if isinstance(event, e.EventHandled)]
    assert changes == [{"total": 100}, {"payment_id": "p1"}, {"approvals": ["Ada"]}]
    assert told.state.handlers.model == {"total": 100, "payment_id": "p1", "approvals": ["Ada"]}


@pytest.mark.semantics("handlers")
def test_replay_never_calls_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    told = paid()
    told.tell(APPROVED)
    state = told.state
    for name in ("ordered", "charged", "approved"):
        monkeypatch.delattr(Fulfilment, name)
    stored = [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in told.history]
    assert fold((recorded.event for recorded in stored), told.id) == state


@pytest.mark.semantics("handled-once")
def test_an_event_is_recorded_by_its_id_even_where_nothing_was_decided() -> None:
    told = paid()
    told.tell(APPROVED)
    second = fulfilment()
    second.tell(APPROVED, message_id="a1")
    before = second.state.handlers.model
    [recorded] = [event for event in second.events if event.cause == "a1" and event.type == "event.handled"]
    assert isinstance(recorded, e.EventHandled)
    assert recorded.event == {"order_id": "o1", "by": "somebody"}
    assert second.tell(APPROVED, message_id="a1") == []
    assert second.state.handlers.model == before


@pytest.mark.semantics("handled-once")
def test_an_event_that_comes_twice_is_handled_once() -> None:
    told = fulfilment()
    assert told.tell(APPROVED, message_id="a1")
    assert told.tell(APPROVED, message_id="a1") == []
    assert told.state.handlers.model["approvals"] == ["somebody"]


@pytest.mark.semantics("handlers")
def test_an_answer_comes_back_to_the_handler_of_its_event_and_is_recorded_once() -> None:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    [handled] = [event for event in told.events if isinstance(event, e.EventHandled)][1:]
    assert (handled.subject, handled.event) == (
        "payments.charged",
        {},
    )  # the answer itself is recorded already
    assert told.succeed("payments.charge", CHARGED) == []


def test_an_answer_without_a_handler_is_recorded_all_the_same() -> None:
    told = fulfilment()
    told.succeed("warehouse.pack")
    assert told.types[-1] == "command.succeeded"


# How it ends


@pytest.mark.semantics("handlers-complete")
def test_it_completes_when_all_that_it_sent_is_answered_after_it_said_that_it_is_complete() -> None:
    told = paid()
    assert told.status == "running"
    told.tell(APPROVED)
    assert told.status == "running"
    told.succeed("shipping.ship")
    assert told.sent[-1] == "billing.invoice"
    told.succeed("billing.invoice")
    assert told.status == "completed"
    assert told.state.wake_up is None


@pytest.mark.semantics("sends")
def test_a_pivot_is_sent_when_all_sends_before_it_are_answered() -> None:
    told = fulfilment()
    told.tell(APPROVED)
    assert told.sent == BOTH
    told.succeed("payments.charge", CHARGED)
    told.succeed("warehouse.pack")
    assert told.sent == [*BOTH, "shipping.ship"]


def test_what_comes_after_the_pivot_is_retried_for_ever() -> None:
    told = paid()
    told.tell(APPROVED)
    told.succeed("shipping.ship")
    told.reject("billing.invoice")
    assert told.status == "running"
    told.wait(SECOND * 200)
    assert told.sent[-2:] == ["billing.invoice", "billing.invoice"]
    assert told.commands[-1].round == 2


def test_a_pivot_without_an_answer_is_closed_and_not_guessed_about() -> None:
    told = paid()
    told.tell(APPROVED)
    told.time_out("shipping.ship")
    assert told.sent[-1] == "close shipping.ship"
    told.reject("close shipping.ship")
    assert told.sent[-1] == "warehouse.unpack"


def test_an_event_is_published_once_with_an_id_of_its_own() -> None:
    told = paid()
    told.tell(APPROVED)
    [published] = [event for event in told.events if isinstance(event, e.EventPublished)]
    assert (published.subject, published.event) == ("orders.closed", {"order_id": "o1", "payment_id": "p1"})


# Undoing


@pytest.mark.semantics("handlers-and-rejections")
def test_a_rejected_send_turns_back_and_undoes_what_was_sent() -> None:
    told = fulfilment()
    told.succeed("warehouse.pack")
    told.reject("payments.charge")
    assert told.status == "compensating"
    assert told.sent == [*BOTH, "warehouse.unpack"]
    told.succeed("warehouse.unpack")
    assert told.status == "compensated"


@pytest.mark.semantics("sends")
def test_what_was_sent_is_undone_in_reverse_order_one_after_the_other() -> None:
    told = paid()
    told.tell(Disputed(payment_id="p1"))
    assert told.sent == [*BOTH, "warehouse.unpack"]
    told.succeed("warehouse.unpack")
    assert told.sent == [*BOTH, "warehouse.unpack", "payments.refund"]
    told.succeed("payments.refund")
    assert told.status == "compensated"
    assert told.state.reason == "the customer disputes the payment"


@pytest.mark.semantics("sends")
def test_a_send_that_never_answered_may_have_happened_and_is_undone_too() -> None:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    told.time_out("warehouse.pack")
    while told.status == "running":
        assert told.state.wake_up is not None
        told.wait(told.state.wake_up - told.now)
    assert told.sent[-1] == "warehouse.unpack"


@pytest.mark.semantics("handlers-and-rejections")
def test_a_handler_of_rejections_decides_instead_of_turning_back() -> None:
    told = fulfilment()
    told.reject("warehouse.pack")
    assert told.status == "running"
    [published] = [event for event in told.events if isinstance(event, e.EventPublished)]
    assert published.event == {"order_id": "o1", "payment_id": "no"}
    told.succeed("payments.charge", CHARGED)
    told.tell(APPROVED)
    told.succeed("shipping.ship")
    told.succeed("billing.invoice")
    assert told.status == "completed"


def test_a_send_that_was_rejected_and_tolerated_is_not_undone() -> None:
    told = fulfilment()
    told.reject("warehouse.pack")
    told.succeed("payments.charge", CHARGED)
    told.cancel()
    assert told.sent == [*BOTH, "payments.refund"]


@pytest.mark.semantics("handlers-complete")
def test_events_that_come_when_nothing_more_is_decided_are_recorded_and_passed_over() -> None:
    told = paid()
    told.tell(APPROVED)
    told.tell(Approved(order_id="o1", by="late"))
    told.succeed("shipping.ship")
    told.succeed("billing.invoice")
    told.tell(Disputed(payment_id="p1"))
    passed = [event.reason for event in told.events if isinstance(event, e.EventPassedOver)]
    assert passed == ["it has nothing more to decide", "it is completed"]
    assert told.status == "completed"


@pytest.mark.semantics("handlers-complete")
def test_events_that_come_while_it_turns_back_are_recorded_and_passed_over() -> None:
    told = paid()
    told.cancel()
    [event] = told.tell(APPROVED)
    assert isinstance(event, e.EventPassedOver)
    assert (event.subject, event.reason) == ("staff.approved", "it is compensating")
    assert told.state.handlers.model["payment_id"] == "p1"
    assert "approvals" not in told.state.handlers.model


@pytest.mark.semantics("handlers-and-operators")
def test_an_answer_that_an_operator_gives_by_hand_is_told_to_its_handler() -> None:
    told = fulfilment()
    told.give(
        Settle(
            "s1",
            "seen in their books",
            step="charge#1",
            outcome=Outcome.SUCCEEDED,
            reply={"payment_id": "p9"},
        )
    )
    assert told.state.handlers.model["payment_id"] == "p9"
    told.give(Settle("s2", "they never got it", step="pack#2", outcome=Outcome.REJECTED))
    assert "event.published" in told.types
    assert told.status == "running"


@pytest.mark.semantics("handlers-and-operators")
def test_a_send_whose_answer_a_handler_goes_on_with_cannot_be_skipped() -> None:
    told = fulfilment()
    with pytest.raises(ActionRefused, match="settle it by hand instead"):
        told.give(Skip("s1", "they never answer", step="charge#1"))
    assert "step.skipped-by-hand" not in told.types
    told.give(Settle("s2", "seen", step="charge#1", outcome=Outcome.SUCCEEDED, reply={"payment_id": "p9"}))
    assert told.state.handlers.model["payment_id"] == "p9"


@pytest.mark.semantics("handlers-and-operators")
def test_when_no_handler_is_called_any_more_every_send_may_be_skipped() -> None:
    told = fulfilment()
    told.succeed("warehouse.pack")
    told.tell(APPROVED)  # which completes it as soon as all is answered
    told.give(Skip("s1", "they never answer", step="charge#1"))
    assert told.sent[-1] == "shipping.ship"


@pytest.mark.semantics("handlers-and-operators")
def test_a_send_that_an_operator_skips_holds_nothing_up() -> None:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    told.give(Skip("s1", "it is packed", step="pack#2"))
    told.tell(APPROVED)
    assert told.sent[-1] == "shipping.ship"


def test_cancel_turns_back_and_is_refused_after_the_pivot() -> None:
    told = paid()
    told.cancel()
    assert told.sent[-1] == "warehouse.unpack"
    told = paid()
    told.tell(Approved(order_id="o1"))
    told.succeed("shipping.ship")
    with pytest.raises(ActionRefused, match="pivot"):
        told.cancel()


# Time


@pytest.mark.semantics("handlers")
def test_a_timeout_calls_its_handler_and_may_be_asked_for_again() -> None:
    told = paid()
    assert told.wait(DAY - SECOND) == []
    assert [event.type for event in told.wait(SECOND)] == ["timeout.fired", "timeout.requested"]
    assert told.state.handlers.model["reminded"] == 1
    told.wait(DAY)
    assert told.state.reason == "nobody approves"
    assert told.sent[-1] == "warehouse.unpack"


def test_a_timeout_that_is_cancelled_does_not_come() -> None:
    told = paid()
    told.tell(APPROVED)
    assert "timeout.cancelled" in told.types
    told.succeed("shipping.ship")
    told.succeed("billing.invoice")
    told.wait(DAY * 2)
    assert "timeout.fired" not in told.types


def test_an_operator_moves_and_cancels_a_timeout() -> None:
    told = paid()
    told.give(Reschedule("r1", "she is back tomorrow", step="approval", due=told.now + DAY * 2))
    assert told.wait(DAY) == []
    assert [event.type for event in told.wait(DAY)][:1] == ["timeout.fired"]
    told.give(Reschedule("r2", "never mind", step="approval", due=None))
    told.wait(DAY * 5)
    assert told.types.count("timeout.fired") == 1


def test_a_suspended_saga_lets_no_timeout_come_and_sends_nothing() -> None:
    told = paid()
    told.give(Suspend("s1", "look at it"))
    told.wait(DAY * 2)
    told.tell(APPROVED)
    assert told.sent == BOTH
    told.give(Resume("r1", "seen"))
    assert told.sent == [*BOTH, "shipping.ship"]


def test_a_rejection_that_came_while_suspended_is_told_to_its_handler_when_it_goes_on() -> None:
    told = fulfilment()
    told.give(Suspend("s1", "look at it"))
    told.reject("warehouse.pack")
    assert "event.published" not in told.types
    told.give(Resume("r1", "seen"))
    assert "event.published" in told.types
    assert told.status == "running"


# Starting


@pytest.mark.semantics("handlers")
def test_several_events_may_start_a_saga_and_those_that_come_after_are_handled() -> None:
    told = Told(Fulfilment, PaidAhead(order_id="o1"))
    assert told.sent == ["warehouse.pack"]
    told.start(ORDERED)
    assert told.sent == ["warehouse.pack", "payments.charge", "warehouse.pack"]
    assert told.state.handlers.model["total"] == 100


def test_a_second_start_event_of_the_same_type_is_refused() -> None:
    told = fulfilment()
    [refused] = told.start(ORDERED, message_id="another")
    assert isinstance(refused, e.StartRefused)
    assert told.start(ORDERED, message_id="another") == []
    assert told.start(ORDERED, message_id="start-1") == []


# Keys learnt on the way


def test_a_key_is_learnt_once() -> None:
    told = fulfilment()
    told.succeed("payments.charge", CHARGED)
    assert told.state.handlers.keys == {("payment_id", "p1")}
    assert told.types.count("key.learnt") == 1


def test_a_key_that_another_saga_has_is_recorded_for_a_person_to_look_at() -> None:
    told = fulfilment()
    told.refused = [LearntKey("fulfilment", "payment_id", "p1")]
    told.succeed("payments.charge", CHARGED)
    assert "key.learnt" not in told.types
    assert told.state.handlers.clashes == {("payment_id", "p1")}
    assert told.status == "running"


# What a handler may not do


class Wild(ProcessManager[FulfilmentState], name="wild", version=1, sends=[Charge, Ship, Pack, Unpack]):
    """Does what the event says that it should not."""

    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> Iterator[Action]:
        yield from ()

    @on(Approved, key="order_id")
    def approved(self, event: Approved) -> Iterator[Action]:
        charge, ship = Charge(order_id="o1", total=1), Ship(order_id="o1")
        pack, unpack = Pack(order_id="o1"), Unpack(order_id="o1")
        faults: dict[str, list[Any]] = {
            "undeclared command": [send(Invoice(order_id="o1"))],
            "undeclared event": [publish(CHARGED)],
            "same name": [send(charge, name="a"), send(charge, name="a")],
            "two pivots": [send(ship, pivot=True), send(pack, pivot=True)],
            "undone after the pivot": [send(ship, pivot=True), send(pack, compensate=unpack)],
            "unknown timeout": [timeout("never", after=DAY)],
            "unknown key": [also_known_as("payment_id", "p1")],
            "not last": [complete(), send(charge)],
            "no action": ["send it"],
        }
        yield from faults[event.by]


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        ("undeclared command", "sends="),
        ("undeclared event", "publishes="),
        ("same name", "leave name= out"),
        ("two pivots", "at most one pivot"),
        ("undone after the pivot", "take compensate= away"),
        ("unknown timeout", "@on_timeout"),
        ("unknown key", "known_as"),
        ("not last", "come last"),
        ("no action", "send(...)"),
    ],
)
def test_what_a_handler_may_not_do_is_told_with_its_mend(fault: str, mend: str) -> None:
    told = Told(Wild, ORDERED)
    with pytest.raises(BadAction) as error:
        told.tell(Approved(order_id="o1", by=fault))
    assert mend in str(error.value)


def test_an_event_that_cannot_be_read_is_refused() -> None:
    told = fulfilment()
    with pytest.raises(InvalidMessage, match="order_id"):
        told.tell(Unreadable())
    assert set(told.state.handlers.handled) == {"start-1"}
