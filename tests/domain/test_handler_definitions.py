"""What is refused when a process manager is defined, each with its mend; and what its type checkers know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import amends
from amends import (
    Action,
    Command,
    Event,
    ProcessManager,
    also_known_as,
    on,
    on_rejected,
    on_timeout,
    send,
    starts,
    timeout,
)
from amends.domain.errors import DefinitionError
from tests.domain.fulfilment import Approved, Charge, Charged, Disputed, FulfilmentState, Ordered, Ship

DOCS = Path(__file__).parent.parent.parent / "docs"


class Nameless(Command): ...


class Formless(Event): ...


class OtherCharged(Event, subject="payments.charged"):
    payment_id: str


class Demanding(BaseModel):
    total: int


class Manager(ProcessManager[FulfilmentState], name="manager", version=1, sends=[Charge]):
    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> None: ...


def no_start() -> None:
    class Broken(ProcessManager[FulfilmentState], name="broken", version=1):
        @on(Approved, key="order_id")
        def approved(self, event: Approved) -> None: ...


def no_key() -> None:
    class Broken(ProcessManager[FulfilmentState], name="broken", version=1):
        @starts(Ordered, key=())
        def ordered(self, event: Ordered) -> None: ...


def unknown_field() -> None:
    on(Approved, key="orderid")


def two_places_of_a_key() -> None:
    on(Approved, key="order_id", header="X-Order")


def unknown_policy() -> None:
    on(Approved, key="order_id", missing="drop")  # type: ignore[arg-type]


def no_patience() -> None:
    on(Approved, key="order_id", patience=timedelta(0))


def no_event() -> None:
    on(Charge, key="order_id")  # type: ignore[type-var]


def event_without_subject() -> None:
    on(Formless)


def rejection_of_a_nameless_command() -> None:
    on_rejected(Nameless)


def rejection_of_what_is_not_sent() -> None:
    class Broken(Manager, name="broken", version=1, sends=[Charge]):
        @on_rejected(Ship)
        def rejected(self, rejection: Any) -> None: ...


def nameless_command() -> None:
    class Broken(Manager, name="broken", version=1, sends=[Nameless]): ...


def two_on_one_subject() -> None:
    class Broken(Manager, name="broken", version=1, sends=[Charge, Charge]): ...


def two_types_of_one_subject() -> None:
    class Broken(Manager, name="broken", version=1, sends=[Charge]):
        @on(OtherCharged)
        def charged(self, event: OtherCharged) -> None: ...


def two_handlers_of_one_event() -> None:
    class Broken(Manager, name="broken", version=1):
        @on(Approved, key="order_id")
        def one(self, event: Approved) -> None: ...

        @on(Approved, key="order_id")
        def two(self, event: Approved) -> None: ...


def two_handlers_of_one_name() -> None:
    class Broken(Manager, name="broken", version=1):
        @on(Approved, key="order_id")
        def handle(self, event: Approved) -> None: ...

        @on(Disputed, known_as="payment_id")  # type: ignore[no-redef]
        def handle(self, event: Disputed) -> None: ...  # noqa: F811


def coroutine() -> None:
    class Broken(Manager, name="broken", version=1):
        @on(Approved, key="order_id")  # type: ignore[arg-type]
        async def handle(self, event: Approved) -> None: ...


def handler_without_event() -> None:
    class Broken(Manager, name="broken", version=1):
        @on(Approved, key="order_id")  # type: ignore[arg-type]
        def handle(self) -> None: ...


def timeout_handler_with_event() -> None:
    class Broken(Manager, name="broken", version=1):
        @on_timeout("t")  # type: ignore[arg-type]
        def handle(self, event: Approved) -> None: ...


def state_without_defaults() -> None:
    class Broken(ProcessManager[Demanding], name="broken", version=1):
        @starts(Ordered, key="order_id")
        def ordered(self, event: Ordered) -> None: ...


def no_state() -> None:
    class Broken(ProcessManager, name="broken", version=1):  # type: ignore[type-arg]
        @starts(Ordered, key="order_id")
        def ordered(self, event: Ordered) -> None: ...


def capital_name() -> None:
    class Broken(Manager, name="Broken", version=1): ...


def version_nought() -> None:
    class Broken(Manager, name="broken", version=0): ...


def no_deadline() -> None:
    class Broken(Manager, name="broken", version=1, deadline=timedelta(0)): ...


@pytest.mark.parametrize(
    ("define", "mend"),
    [
        (no_start, "@starts"),
        (no_key, "key="),
        (unknown_field, "order_id, by"),
        (two_places_of_a_key, "leave one of them out"),
        (unknown_policy, "'ignore', 'park' or 'dead'"),
        (no_patience, "more than nothing"),
        (no_event, "expected an Event with a subject"),
        (event_without_subject, "expected an Event with a subject"),
        (rejection_of_a_nameless_command, "a Command with a subject"),
        (rejection_of_what_is_not_sent, "name it in sends="),
        (nameless_command, "messages with a subject"),
        (two_on_one_subject, "different subjects"),
        (two_types_of_one_subject, "one type for 'payments.charged'"),
        (two_handlers_of_one_event, "one handler for 'staff.approved'"),
        (two_handlers_of_one_name, "give each its own name"),
        (coroutine, "participant do the I/O"),
        (handler_without_event, "self and what happened"),
        (timeout_handler_with_event, "expected self as its parameters"),
        (state_without_defaults, "total has none"),
        (no_state, "ProcessManager[State]"),
        (capital_name, "lower-case letters"),
        (version_nought, "at least 1"),
        (no_deadline, "more than nothing"),
    ],
)
def test_what_cannot_work_is_refused_with_its_mend(define: Callable[[], None], mend: str) -> None:
    with pytest.raises(DefinitionError) as error:
        define()
    assert mend in str(error.value)


@pytest.mark.parametrize(
    ("act", "mend"),
    [
        (lambda: send(Charge(order_id="o1", total=1), timeout=timedelta(0)), "more than nothing"),
        (
            lambda: send(Charge(order_id="o1", total=1), pivot=True, compensate=Ship(order_id="o1")),
            "take compensate= away",
        ),
        (lambda: send(Charge(order_id="o1", total=1), name="zahlung-ä"), "ASCII"),
        (lambda: timeout("t", after=timedelta(days=-1)), "more than nothing"),
        (lambda: also_known_as("payment_id", ""), "1 to 500 characters"),
        (lambda: also_known_as("payment_id", "x" * 501), "1 to 500 characters"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_where_it_is_made(
    act: Callable[[], Action], mend: str
) -> None:
    with pytest.raises(DefinitionError) as error:
        act()
    assert mend in str(error.value)


def test_a_handler_can_change_nothing_but_its_state() -> None:
    class Setting(Manager, name="setting", version=1):
        @on(Charged)
        def charged(self, event: Charged) -> Iterator[Action]:
            self.total = 1
            yield from ()

    view = object.__new__(Setting)
    with pytest.raises(AttributeError, match=r"self\.state"):
        list(Setting.charged(view, Charged(payment_id="p1")) or ())


def test_a_subclass_replaces_a_handler_by_its_name() -> None:
    class Better(Manager, name="manager", version=2, sends=[Charge]):
        @starts(Ordered, key="order_id")
        def ordered(self, event: Ordered) -> Iterator[Action]:
            yield send(Charge(order_id=self.key, total=event.total))

    assert Better.definition.on_start["orders.ordered"] is Better.ordered
    assert Manager.definition.on_start["orders.ordered"] is Manager.ordered


def test_the_example_of_the_guide_can_be_defined() -> None:
    guide = (DOCS / "handlers.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {name: getattr(amends, name) for name in amends.__all__}
    exec(_MESSAGES + found[1], names)
    definition = names["Fulfilment"].definition
    assert definition.start_subjects == ("orders.placed",)
    assert list(definition.on_timeout) == ["approval"]


_MESSAGES = """
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pydantic import BaseModel

class OrderPlaced(Event, subject="orders.placed"):
    order_id: str
    total: Decimal

class PaymentCharged(Event, subject="payments.charged"):
    payment_id: str

class OrderApproved(Event, subject="staff.approved"):
    order_id: str

class PaymentDisputed(Event, subject="payments.disputed"):
    payment_id: str

class OrderFulfilled(Event, subject="orders.fulfilled"):
    order_id: str

class ChargePayment(Command[PaymentCharged], subject="payments.charge"):
    order_id: str
    amount: Decimal

class RefundPayment(Command, subject="payments.refund"):
    order_id: str

class CreateShipment(Command, subject="shipping.create"):
    order_id: str

"""
