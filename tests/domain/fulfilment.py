"""A process manager to try things with: it charges and packs side by side, and ships what somebody approves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import BaseModel

from amends import (
    Action,
    Command,
    Event,
    ProcessManager,
    Rejection,
    Retry,
    also_known_as,
    cancel_timeout,
    compensate,
    complete,
    on,
    on_rejected,
    on_timeout,
    publish,
    send,
    starts,
    timeout,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
RETRY = Retry(attempts=2, delay=SECOND, cap=SECOND * 10, slow=SECOND * 100)


class Ordered(Event, subject="orders.ordered"):
    order_id: str
    total: int = 100


class PaidAhead(Event, subject="payments.paid-ahead"):
    order_id: str


class Charged(Event, subject="payments.charged"):
    payment_id: str


class Disputed(Event, subject="payments.disputed"):
    payment_id: str


class Approved(Event, subject="staff.approved"):
    order_id: str
    by: str = "somebody"


class Unreadable(Event, subject="staff.approved"):
    by: str = "x"


class Closed(Event, subject="orders.closed"):
    order_id: str
    payment_id: str


class Charge(Command[Charged], subject="payments.charge"):
    order_id: str
    total: int


class Refund(Command, subject="payments.refund"):
    order_id: str


class Pack(Command, subject="warehouse.pack"):
    order_id: str


class Unpack(Command, subject="warehouse.unpack"):
    order_id: str


class Ship(Command, subject="shipping.ship"):
    order_id: str


class Invoice(Command, subject="billing.invoice"):
    order_id: str


class FulfilmentState(BaseModel):
    total: int = 0
    payment_id: str | None = None
    approvals: list[str] = []
    reminded: int = 0


class Fulfilment(
    ProcessManager[FulfilmentState],
    name="fulfilment",
    version=1,
    deadline=DAY * 30,
    sends=[Charge, Refund, Pack, Unpack, Ship, Invoice],
    publishes=[Closed],
):
    """Charge and pack side by side; ship when both are done and somebody approves; else remind, then undo."""

    @starts(Ordered, key="order_id")
    def ordered(self, event: Ordered) -> Iterator[Action]:
        self.state.total = event.total
        yield send(
            Charge(order_id=self.key, total=event.total),
            compensate=Refund(order_id=self.key),
            timeout=MINUTE,
            retry=RETRY,
        )
        yield send(Pack(order_id=self.key), compensate=Unpack(order_id=self.key), timeout=MINUTE, retry=RETRY)
        yield timeout("approval", after=DAY)

    @starts(PaidAhead, key="order_id")
    def paid_ahead(self, event: PaidAhead) -> Iterator[Action]:
        yield send(Pack(order_id=self.key), compensate=Unpack(order_id=self.key))

    @on(Charged)
    def charged(self, event: Charged) -> Iterator[Action]:
        self.state.payment_id = event.payment_id
        yield also_known_as("payment_id", event.payment_id)

    @on(Approved, key="order_id")
    def approved(self, event: Approved) -> Iterator[Action] | None:
        self.state.approvals.append(event.by)
        return self.ship() if len(self.state.approvals) == 1 else None

    def ship(self) -> Iterator[Action]:
        yield cancel_timeout("approval")
        yield send(Ship(order_id=self.key), pivot=True, timeout=MINUTE, retry=RETRY)
        yield send(Invoice(order_id=self.key), name="invoice", timeout=MINUTE, retry=RETRY)
        yield publish(Closed(order_id=self.key, payment_id=self.state.payment_id or ""))
        yield complete()

    @on(Disputed, known_as="payment_id")
    def disputed(self, event: Disputed) -> Iterator[Action]:
        yield compensate("the customer disputes the payment")

    @on_rejected(Pack)
    def unpackable(self, rejection: Rejection[Pack]) -> Iterator[Action]:
        yield publish(Closed(order_id=rejection.command.order_id, payment_id=rejection.reason))

    @on_timeout("approval")
    def nobody_approves(self) -> Iterator[Action]:
        self.state.reminded += 1
        if self.state.reminded == 1:
            yield timeout("approval", after=DAY)
        else:
            yield compensate("nobody approves")
