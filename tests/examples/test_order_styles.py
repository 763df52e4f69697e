"""The order process in both styles, side by side: the same events lead to the same commands."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from amends import Event
from amends.domain.errors import ActionRefused
from amends.domain.wire import Outcome
from amends.examples.order.messages import (
    InventoryReserved,
    OrderPlaced,
    PaymentCharged,
    ShipmentCreated,
)
from amends.examples.order.saga import Order
from amends.examples.order_handlers import OrderHandlers
from tests.domain.manager_play import Told

PLACED = OrderPlaced(
    order_id="o1", customer="Ada", sku="lamp", quantity=2, total=Decimal("39.90"), country="Portugal"
)
BODIES: dict[str, Event] = {
    "inventory.reserve": InventoryReserved(order_id="o1"),
    "payments.charge": PaymentCharged(payment_id="pay-o1"),
    "shipping.create": ShipmentCreated(tracking="T-o1"),
}

FORWARDS = ["inventory.reserve", "payments.charge", "shipping.create", "notifications.send"]
UNDONE = ["payments.refund", "inventory.release"]


def succeed(*asked: str) -> Callable[[Told], None]:
    def script(told: Told) -> None:
        for each in asked:
            told.succeed(each, BODIES.get(each))

    return script


def say(asked: str, outcome: Outcome) -> Callable[[Told], None]:
    return lambda told: _ignore(told.answer(asked, outcome))


def silence(asked: str) -> Callable[[Told], None]:
    return lambda told: told.time_out(asked)


def cancel(told: Told) -> None:
    told.cancel()


def cancel_in_vain(told: Told) -> None:
    with pytest.raises(ActionRefused):
        told.cancel()


def wake_up(told: Told) -> None:
    """Time passes until its next timer is due."""
    assert told.state.wake_up is not None
    told.wait(told.state.wake_up - told.now)


def deadline(told: Told) -> None:
    assert told.state.deadline is not None
    told.wait(told.state.deadline - told.now)


def _ignore(_: object) -> None:
    return None


Script = list[Callable[[Told], None]]

SCRIPTS: dict[str, tuple[Script, list[str], str]] = {
    "all goes well": ([succeed(*FORWARDS)], FORWARDS, "completed"),
    "there is no stock": (
        [say("inventory.reserve", Outcome.REJECTED)],
        ["inventory.reserve"],
        "compensated",
    ),
    "the card is declined": (
        [
            succeed("inventory.reserve"),
            say("payments.charge", Outcome.REJECTED),
            succeed("inventory.release"),
        ],
        ["inventory.reserve", "payments.charge", "inventory.release"],
        "compensated",
    ),
    "nobody knows whether the payment was charged": (
        [succeed("inventory.reserve"), silence("payments.charge"), succeed(*UNDONE)],
        ["inventory.reserve", *["payments.charge"] * 3, *UNDONE],
        "compensated",
    ),
    "the payment fails once": (
        [succeed("inventory.reserve"), say("payments.charge", Outcome.FAILED)],
        ["inventory.reserve", "payments.charge"],
        "running",
    ),
    "no carrier goes there": (
        [succeed(*FORWARDS[:2]), say("shipping.create", Outcome.REJECTED), succeed(*UNDONE)],
        [*FORWARDS[:3], *UNDONE],
        "compensated",
    ),
    "nobody knows whether it was shipped, and it was": (
        [
            succeed(*FORWARDS[:2]),
            silence("shipping.create"),
            lambda told: _ignore(told.succeed("close shipping.create", BODIES["shipping.create"])),
        ],
        [*FORWARDS[:2], *["shipping.create"] * 3, "close shipping.create", "notifications.send"],
        "running",
    ),
    "nobody knows whether it was shipped, and it was not": (
        [
            succeed(*FORWARDS[:2]),
            silence("shipping.create"),
            say("close shipping.create", Outcome.REJECTED),
            succeed(*UNDONE),
        ],
        [*FORWARDS[:2], *["shipping.create"] * 3, "close shipping.create", *UNDONE],
        "compensated",
    ),
    "the customer is told at the second attempt": (
        [
            succeed(*FORWARDS[:3]),
            say("notifications.send", Outcome.REJECTED),
            wake_up,
            succeed("notifications.send"),
        ],
        [*FORWARDS, "notifications.send"],
        "completed",
    ),
    "somebody cancels while the payment is out": (
        [succeed("inventory.reserve"), cancel, succeed(*UNDONE)],
        ["inventory.reserve", "payments.charge", *UNDONE],
        "compensated",
    ),
    "nobody knows whether the stock was reserved": (
        [silence("inventory.reserve"), succeed("inventory.release")],
        [*["inventory.reserve"] * 3, "inventory.release"],
        "compensated",
    ),
    "somebody cancels while the shipment is out, and it was not made": (
        [succeed(*FORWARDS[:2]), cancel, say("close shipping.create", Outcome.REJECTED), succeed(*UNDONE)],
        [*FORWARDS[:3], "close shipping.create", *UNDONE],
        "compensated",
    ),
    "a cancel is refused once it is shipped": (
        [succeed(*FORWARDS[:3]), cancel_in_vain, succeed("notifications.send")],
        FORWARDS,
        "completed",
    ),
    "nobody answers the notification at first": (
        [succeed(*FORWARDS[:3]), *[wake_up] * 6, succeed("notifications.send")],
        [*FORWARDS[:3], *["notifications.send"] * 4],
        "completed",
    ),
    "the refund fails at first": (
        [
            succeed("inventory.reserve"),
            cancel,
            say("payments.refund", Outcome.FAILED),
            wake_up,
            succeed(*UNDONE),
        ],
        ["inventory.reserve", "payments.charge", "payments.refund", "payments.refund", "inventory.release"],
        "compensated",
    ),
    "the deadline passes": (
        [deadline, succeed("inventory.release")],
        ["inventory.reserve", "inventory.release"],
        "compensated",
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.semantics("two-styles")
def test_the_same_events_lead_to_the_same_commands_in_both_styles(name: str) -> None:
    script, commands, status = SCRIPTS[name]
    steps, handlers = Told(Order, PLACED), Told(OrderHandlers, PLACED)
    for told in (steps, handlers):
        for act in script:
            act(told)
    assert (steps.sent, steps.status) == (commands, status)
    assert (handlers.sent, handlers.status) == (steps.sent, steps.status)
    for one, other in zip(steps.commands, handlers.commands, strict=True):
        assert (one.direction, one.round, one.attempt) == (other.direction, other.round, other.attempt)
        assert (one.subject, one.reply_subject, one.payload) == (
            other.subject,
            other.reply_subject,
            other.payload,
        )
        assert one.expires - one.at == other.expires - other.at
