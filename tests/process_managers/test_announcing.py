"""A saga that starts another without waiting for it, over ports in memory."""

from __future__ import annotations

from amends import Event, Saga, announce, step
from amends.domain import wire
from amends.domain.wire import Outcome
from tests.domain.driver import Charge, Notify, Placed
from tests.process_managers.system import System


class CancelSubscription(Event, subject="subscriptions.cancel"):
    order_id: str


class Renewal(Saga[Placed], name="renewal", version=1, key="order_id"):
    @step
    def charge(self) -> Charge:
        return Charge(order_id=self.key, amount=self.start.total)

    @charge.when_rejected
    def cancel_subscription(self) -> CancelSubscription:
        return CancelSubscription(order_id=self.key)


class Cancellation(Saga[CancelSubscription], name="cancellation", version=1, key="order_id"):
    @step
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


class Relay(Saga[Placed], name="relay", version=1, key="order_id"):
    @announce
    def cancel(self) -> CancelSubscription:
        return CancelSubscription(order_id=self.key)


async def test_a_rejection_starts_a_saga_of_another_type_which_nobody_waits_for(system: System) -> None:
    system.services.says["charge"] = Outcome.REJECTED
    system.services.says["notify"] = None
    await system.engine(Renewal, Cancellation)
    await system.place("o1")
    await system.settle()
    assert await system.status("o1", "renewal") == "compensated"
    assert await system.status("o1", "cancellation") == "running"


async def test_a_step_that_publishes_starts_a_saga_of_another_type(system: System) -> None:
    await system.engine(Relay, Cancellation)
    await system.place("o1")
    await system.settle()
    assert await system.status("o1", "relay") == "completed"
    assert await system.status("o1", "cancellation") == "completed"


async def test_what_a_saga_publishes_tells_whose_it_is(system: System) -> None:
    await system.engine(Relay, Cancellation)
    await system.place("o1")
    await system.settle()
    events = [
        each for each in await system.published("events") if each.subject.endswith("subscriptions.cancel")
    ]
    (event,) = events
    assert event.headers[wire.SAGA_ID] == str(system.id("o1", "relay"))
    assert event.headers[wire.CE_TYPE] == "subscriptions.cancel"
