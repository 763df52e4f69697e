"""How a saga is written, and which mistakes are refused when the class is made."""

from __future__ import annotations

import types
from datetime import timedelta
from typing import Any

import pytest

from amends.domain.errors import DefinitionError, NoReply
from amends.domain.messages import Command, Event
from amends.domain.policy import Retry
from amends.domain.saga import Saga, Step, step
from tests.domain.driver import SECOND, Charge, Notify, Order, Placed, Play, Refund, Reserve, Ship


class NoSubject(Event):
    order_id: str


class Unheard(Command):
    order_id: str


def refused(text: str) -> Any:
    return pytest.raises(DefinitionError, match=text)


def make(class_name: str, body: dict[str, Any], **options: Any) -> type:
    options = {"name": "a", "version": 1, "key": "order_id", **options}
    return types.new_class(class_name, (Saga[Placed],), options, lambda namespace: namespace.update(body))


def test_a_saga_reads_from_top_to_bottom_as_its_process() -> None:
    definition = Order.definition
    assert [s.name for s in definition.steps] == ["reserve", "charge", "ship", "notify"]
    assert [s.pivot for s in definition.steps] == [False, False, True, False]
    assert [s.compensation is not None for s in definition.steps] == [True, True, False, False]
    assert definition.steps[0].forward.commands == (Reserve,)


def test_two_versions_stand_side_by_side() -> None:
    class OrderV2(Order, name="order", version=2, key="order_id"):
        charge = Order.charge.with_options(timeout=SECOND, retry=Retry(attempts=9))

        @step
        def again(self) -> Notify:
            return Notify(order_id=self.key)

    assert [s.name for s in OrderV2.definition.steps] == ["reserve", "charge", "ship", "notify", "again"]
    assert OrderV2.definition.step("charge").forward.timeout == SECOND
    assert OrderV2.definition.step("charge").compensation is not None
    assert Order.definition.step("charge").forward.timeout == SECOND * 10
    assert OrderV2.definition.deadline is None


def test_self_is_read_only() -> None:
    class Writes(Saga[Placed], name="writes", version=1, key="order_id"):
        @step
        def ship(self) -> Ship:
            self.total = 1
            return Ship(order_id="")

    play = Play(Writes, start=False)
    with pytest.raises(AttributeError, match="read-only in its step functions; 'total' cannot be set"):
        play.give(play.first)


@pytest.mark.semantics("compensation-without-reply")
def test_a_reply_that_there_is_none_of_raises_unless_a_default_is_given() -> None:
    seen: list[object] = []

    class Asks(Saga[Placed], name="asks", version=1, key="order_id"):
        @step
        def charge(self) -> Charge | None:
            return None

        @step
        def ship(self) -> Ship:
            seen.append(self.reply(Asks.charge, default=None))
            self.reply(Asks.charge)
            return Ship(order_id="")

    play = Play(Asks, start=False)
    with pytest.raises(
        NoReply, match="'charge' has no reply: it was skipped, or never answered; ask with default"
    ):
        play.give(play.first)
    assert seen == [None]


def test_no_steps() -> None:
    with refused("saga 'empty': expected at least one @step, got none"):

        class Empty(Saga[Placed], name="empty", version=1, key="order_id"): ...


@pytest.mark.semantics("one-pivot")
def test_a_second_pivot() -> None:
    with refused("expected at most one pivot, got ship, notify; keep pivot=True on the step after which"):

        class TwoPivots(Saga[Placed], name="two", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id="")

            @step(pivot=True)
            def notify(self) -> Notify:
                return Notify(order_id="")


@pytest.mark.parametrize("which", ["the pivot", "after it"])
def test_a_compensation_of_the_pivot_or_after_it(which: str) -> None:
    with refused("is the pivot or comes after it, so it is never compensated; take its compensation away"):

        class Late(Saga[Placed], name="late", version=1, key="order_id"):
            @step(pivot=True)
            def ship(self) -> Ship:
                return Ship(order_id="")

            @step
            def charge(self) -> Charge:
                return Charge(order_id="", amount=1)

            @(ship if which == "the pivot" else charge).compensate
            def refund(self) -> Refund:
                return Refund(order_id="")


def test_two_steps_of_one_name() -> None:
    with refused("two steps or compensations are named 'ship'; give each its own name"):

        class Twice(Saga[Placed], name="twice", version=1, key="order_id"):
            @step
            def ship(self) -> Ship:
                return Ship(order_id="")

            @step  # type: ignore[no-redef] # the mistake under test
            def ship(self) -> Ship:  # noqa: F811 - the mistake under test
                return Ship(order_id="")


def test_a_compensation_named_as_its_step() -> None:
    with refused("two steps or compensations are named 'charge'"):

        class Same(Saga[Placed], name="same", version=1, key="order_id"):
            @step
            def charge(self) -> Charge:
                return Charge(order_id="", amount=1)

            @charge.compensate  # type: ignore[no-redef] # the mistake under test
            def charge(self) -> Refund:
                return Refund(order_id="")


def test_a_second_compensation() -> None:
    with refused("step 'charge': expected one compensation, got a second, 'refund_again'"):

        class Twofold(Saga[Placed], name="twofold", version=1, key="order_id"):
            @step
            def charge(self) -> Charge:
                return Charge(order_id="", amount=1)

            @charge.compensate
            def refund(self) -> Refund:
                return Refund(order_id="")

            @charge.compensate
            def refund_again(self) -> Refund:
                return Refund(order_id="")


def test_one_step_under_two_names() -> None:
    with refused("Alias.send is the step 'ship' under a second name; two steps must not share one function"):

        class Alias(Saga[Placed], name="alias", version=1, key="order_id"):
            @step
            def ship(self) -> Ship:
                return Ship(order_id="")

            send = ship


async def coroutine(self: object) -> Ship:
    return Ship(order_id="")


def two_parameters(self: object, order: str) -> Ship:
    return Ship(order_id=order)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (coroutine, "'coroutine' is a coroutine; expected a plain function.*Let a participant do the I/O"),
        (two_parameters, "'two_parameters': expected self as its only parameter, got .*self.key, self.start"),
        (staticmethod(coroutine), "expected a plain function that builds a command.*write it with def"),
    ],
)
def test_something_else_than_a_plain_function_of_self(build: Any, text: str) -> None:
    with refused(text):
        step(build)
    with refused(text):
        Order.reserve.with_options().compensate(build)


@pytest.mark.parametrize("name", ["key", "start", "reply", "definition"])
def test_a_step_named_as_an_attribute_of_every_saga(name: str) -> None:
    def build(self: object) -> Ship:
        return Ship(order_id="")

    build.__name__ = name
    with refused(
        rf"Shadows\.{name}: every saga has an attribute of this name already; give the step another"
    ):
        make("Shadows", {name: step(build)})


def test_a_step_name_that_cannot_travel_in_a_header() -> None:
    with refused("réserve: expected a name in ASCII, because it travels in headers"):

        class Accent(Saga[Placed], name="accent", version=1, key="order_id"):
            @step
            def réserve(self) -> Reserve:  # noqa: PLC2401 - the mistake under test
                return Reserve(order_id="")


def nothing(self: object) -> None: ...


def unannotated(self):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    return Ship(order_id="")


def an_event(self: object) -> Placed:
    return Placed(order_id="")


def without_subject(self: object) -> Unheard:
    return Unheard(order_id="")


def unknown(self: object) -> Elsewhere:  # type: ignore[name-defined] # noqa: F821
    return None


class Rebook(Command, subject="shipping.ship"):
    order_id: str


def one_subject(self: object) -> Ship | Rebook:
    return Ship(order_id="")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (nothing, "'nothing': expected its return annotation to name a Command, got None"),
        (
            unannotated,
            "'unannotated': expected its return annotation to be a Command with a subject.*got None",
        ),
        (an_event, "'an_event': expected its return annotation to be a Command with a subject.*got 'Placed'"),
        (without_subject, "'without_subject': expected .* a Command with a subject.*got 'Unheard'"),
        (unknown, "'unknown': its annotations cannot be read: name 'Elsewhere' is not defined"),
        (one_subject, "expected commands of different subjects, got Ship, Rebook; the subject tells"),
    ],
)
def test_an_annotation_that_does_not_name_a_command(build: Any, text: str) -> None:
    with refused(f"saga 'annotated', function {text}" if text.startswith("'") else text):
        made: Step[Any] = step(build)
        make("A", {made.name: made}, name="annotated")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "Order"}, "A: expected a name of lower-case letters, digits, '-' and '_', got 'Order'"),
        ({"name": ""}, "A: expected a name of lower-case letters.* got ''"),
        ({"name": "a.b"}, "got 'a.b'"),
        ({"version": 0}, "saga 'a': expected a version of at least 1, got 0"),
        ({"key": "id"}, r"expected key to name fields of Placed \(order_id, total\), got 'id'"),
        ({"key": ("order_id", "id")}, "expected key to name fields of Placed .* got 'id'"),
        ({"key": ()}, "expected key to name at least one field of its start event, got none"),
        ({"deadline": SECOND * 0}, "'a': expected a time limit of more than nothing and at most a century"),
        (
            {"deadline": timedelta.max},
            "'a': expected a time limit of more than nothing and at most a century",
        ),
    ],
)
def test_an_option_that_makes_no_sense(options: dict[str, Any], text: str) -> None:
    with refused(text):
        make("A", {"ship": Order.ship.with_options()}, **options)


@pytest.mark.parametrize("timeout", [SECOND * 0, -SECOND, timedelta.max])
def test_a_timeout_that_makes_no_sense(timeout: timedelta) -> None:
    with refused("'nothing': expected a time limit of more than nothing and at most a century, got"):
        step(timeout=timeout)(nothing)
    with refused("'nothing': expected a time limit of more than nothing and at most a century, got"):
        Order.ship.with_options().compensate(timeout=timeout)(nothing)


def test_a_saga_without_its_start_event() -> None:
    with refused(r"Bare: expected Saga\[StartEvent\] as its base, got a bare Saga"):

        class Bare(Saga, name="bare", version=1, key="order_id"): ...  # type: ignore[type-arg]


def test_a_start_event_without_a_subject() -> None:
    with refused("Silent: its start event NoSubject has no subject"):

        class Silent(Saga[NoSubject], name="silent", version=1, key="order_id"): ...


@pytest.mark.parametrize(
    "subject", ["orders", "orders.placed.now", "Orders.placed", "orders.*", ".x", "a b.c"]
)
def test_a_subject_that_is_not_service_and_what(subject: str) -> None:
    with refused(f"Bad: expected subject='<service>.<what>'.*got '{subject.replace('*', '.')}'"):

        class Bad(Event, subject=subject): ...


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_message_holds_no_number_that_json_has_not(number: float) -> None:
    class Measured(Event, subject="sensors.measured"):
        value: float

    with pytest.raises(ValueError, match="finite number"):
        Measured(value=number)
