"""The testing kit: every scenario in memory on virtual time, and the same on real servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
from pydantic import BaseModel

from amends import (
    Action,
    Command,
    Event,
    Foreign,
    ProcessManager,
    Retry,
    Saga,
    Settings,
    send,
    starts,
    step,
    wait_for,
)
from amends.domain.errors import ActionRefused
from amends.examples.order.messages import (
    ChargePayment,
    InventoryReserved,
    OrderPlaced,
    ReleaseInventory,
    ReserveInventory,
)
from amends.examples.order_handlers import OrderHandlers
from amends.infrastructure.embedded import Servers
from amends.testing import BadScript, SagaTest
from amends.testing.kit import Kit
from amends.testing.kit.embedded import EmbeddedServers
from amends.testing.kit.scenario import CRASH_POINTS
from tests.domain.driver import (
    Charge,
    Charged,
    Notify,
    Order,
    Placed,
    Refund,
    Release,
    Released,
    Reserve,
    Reserved,
    Ship,
)

PLACED = Placed(order_id="o1", total=100)
RESERVED = Reserved(reservation="r1")
CHARGED = Charged(payment="p1")
RELEASED = Released(reservation="r1")


@pytest.fixture(params=["memory", "embedded"])
def saga_test(request: pytest.FixtureRequest) -> Iterator[SagaTest]:
    if request.param == "memory":
        with Kit() as kit:
            yield kit.scenario
        return
    servers: Servers = request.getfixturevalue("servers")
    database = request.getfixturevalue("database")
    settings = Settings(database_url=database, nats_url=servers.nats_url)
    with EmbeddedServers(settings) as given, Kit(given) as kit:
        yield kit.scenario


@pytest.fixture
def in_memory() -> Iterator[SagaTest]:
    with Kit() as kit:
        yield kit.scenario


def test_an_order_goes_well(saga_test: SagaTest) -> None:
    (
        saga_test(Order)
        .start(PLACED)
        .expect(Reserve, order_id="o1")
        .reply(RESERVED)
        .expect(Charge, amount=100)
        .reply(CHARGED)
        .expect(Ship)
        .reply()
        .expect(Notify)
        .reply()
        .settles("completed")
    )


def test_a_declined_payment_releases_what_was_reserved(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    scenario.expect(Reserve).reply(RESERVED).expect(Charge).reject("declined")
    scenario.expect(Release).reply(RELEASED).settles("compensated")
    assert "charge: rejected: declined" in scenario.state.reason


def test_time_passes_only_when_the_test_says_so_and_every_timer_fires_at_its_moment(
    saga_test: SagaTest,
) -> None:
    scenario = saga_test(Order).start(PLACED)
    first = scenario.expect(Reserve)
    scenario.advance(seconds=9).expect_nothing()
    scenario.advance(seconds=30)
    second = scenario.expect(Reserve)
    assert (second.attempt, second.key) == (2, first.key)
    timed_out = next(r.event for r in scenario.history if r.event.type == "command.timed-out")
    began = scenario.history[0].event.at
    assert timedelta(seconds=10) <= timed_out.at - began < timedelta(seconds=11)


def test_a_step_without_an_answer_is_compensated_and_its_late_answer_changes_nothing(
    saga_test: SagaTest,
) -> None:
    scenario = saga_test(Order).start(PLACED)
    reserve = scenario.expect(Reserve)
    scenario.advance(minutes=1)
    release = scenario.expect(Release)
    reserve.reply(RESERVED)
    release.reply(RELEASED)
    scenario.settles("compensated")


def test_an_answer_that_comes_three_times_counts_once(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    scenario.expect(Reserve).reply(RESERVED, times=3)
    scenario.expect(Charge)
    scenario.expect_nothing()
    assert [r.event.type for r in scenario.history].count("command.succeeded") == 1


def test_answers_may_come_in_another_order(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    first = scenario.expect(Reserve)
    scenario.advance(seconds=15)
    second = scenario.expect(Reserve)
    second.fail("busy")
    first.reply(RESERVED)
    scenario.expect(Charge)


@pytest.mark.parametrize("point", [*CRASH_POINTS, ""])
def test_a_worker_may_die_at_any_point(saga_test: SagaTest, point: str) -> None:
    scenario = saga_test(Order).start(PLACED).crash(at=point)
    scenario.expect(Reserve).reply(RESERVED).expect(Charge).reply(CHARGED)
    scenario.expect(Ship).reply().expect(Notify).reply().settles("completed")


def test_a_pivot_without_an_answer_is_closed(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    scenario.expect(Reserve).reply(RESERVED).expect(Charge).reply(CHARGED)
    for attempt in (1, 2, 3):
        assert scenario.expect(Ship).attempt == attempt
        scenario.advance(seconds=15)
    close = scenario.expect(Ship)
    assert close.direction == "close"
    close.reject("it did not happen")
    scenario.expect(Refund).reply().expect(Release).reply(RELEASED).settles("compensated")


def test_cancel_turns_back_and_is_refused_after_the_pivot(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    scenario.expect(Reserve).reply(RESERVED).expect(Charge).reply(CHARGED).expect(Ship).reply()
    scenario.expect(Notify)
    with pytest.raises(ActionRefused, match="only goes forward"):
        scenario.cancel()


def test_a_compensation_that_is_never_answered_parks(saga_test: SagaTest) -> None:
    scenario = saga_test(Order).start(PLACED)
    scenario.expect(Reserve).reply(RESERVED).expect(Charge).reject("declined").expect(Release)
    scenario.advance(minutes=10).parks("reserve")


class Approved(Event, subject="office.approved"):
    order_id: str


class Approval(Saga[Placed], name="approval", version=1, key="order_id"):
    approve = wait_for(Approved, timeout=timedelta(days=3), key="order_id")

    @step
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


def test_an_event_ends_a_wait_and_silence_counts_as_a_no(saga_test: SagaTest) -> None:
    scenario = saga_test(Approval).start(PLACED).expect_nothing().publish(Approved(order_id="o1"))
    scenario.expect(Notify).reply().settles("completed")
    silent = saga_test(Approval).start(PLACED).advance(days=3).settles("compensated")
    assert "nothing came in time" in silent.state.reason


class Booked(Event, subject="cars.booked"):
    order_id: str


class SoldOut(Event, subject="cars.sold-out"):
    order_id: str


class Book(Command[Booked], subject="cars.book"):
    pass


class Trip(Saga[Placed], name="trip", version=1, key="order_id"):
    @step(foreign=Foreign(key="order_id", rejected=[SoldOut]), retry=Retry(attempts=1))
    def car(self) -> Book:
        return Book()


def test_a_foreign_service_answers_by_events_of_its_own(saga_test: SagaTest) -> None:
    scenario = saga_test(Trip).start(PLACED)
    scenario.expect(Book).reply(Booked(order_id="o1")).settles("completed")
    refused = saga_test(Trip).start(Placed(order_id="o2"))
    asked = refused.expect(Book)
    with pytest.raises(BadScript, match="says no by an event of its own"):
        asked.reject("sold out")
    refused.publish(SoldOut(order_id="o2")).settles("compensated")


class GaveUp(Event, subject="trips.gave-up"):
    order_id: str


class Telling(Saga[Placed], name="telling", version=1, key="order_id"):
    @step
    def notify(self) -> Notify:
        return Notify(order_id=self.key)

    @notify.when_rejected
    def give_up(self) -> GaveUp:
        return GaveUp(order_id=self.key)


def test_what_a_saga_tells_others_is_expected_as_an_event(saga_test: SagaTest) -> None:
    scenario = saga_test(Telling).start(PLACED)
    with pytest.raises(AssertionError, match=r"expected the event GaveUp\n +got none"):
        scenario.expect_event(GaveUp)
    scenario.expect(Notify).reject("no such address").expect_event(GaveUp, order_id="o1").settles(
        "compensated"
    )
    with pytest.raises(AssertionError, match=r"expected the event GaveUp\n +got trips.gave-up"):
        scenario.expect_event(GaveUp)  # it was told once


@pytest.mark.semantics("two-styles")
def test_a_process_manager_of_handlers_is_played_alike(saga_test: SagaTest) -> None:
    order = OrderPlaced(order_id="o1", customer="c", sku="s", quantity=1, total=Decimal(9), country="CH")
    scenario = saga_test(OrderHandlers).start(order)
    scenario.expect(ReserveInventory).reply(InventoryReserved(order_id="o1"))
    scenario.expect(ChargePayment, amount=Decimal(9)).reject("declined")
    scenario.expect(ReleaseInventory).reply().settles("compensated")


# What the kit refuses, and how it says so.


def test_an_error_shows_the_script_beside_the_history(in_memory: SagaTest) -> None:
    scenario = in_memory(Order).start(PLACED).expect(Reserve).reply(RESERVED)
    with pytest.raises(AssertionError) as failed:
        scenario.expect(Release)
    lines = [re.split(r"  +", line.rstrip()) for line in str(failed.value).splitlines()]
    assert lines[:4] == [
        ["expected the command Release"],
        ["", "got payments.charge"],
        [""],
        ["order@1 o1"],
    ]
    assert lines[4] == ["the test", "what was recorded"]
    assert lines[5][1:] == ["1", "order o1 started, because of the event orders.placed"]
    assert ["expect Reserve"] in lines
    assert next(line for line in lines if "reserve succeeded" in line[-1])[:2] == [
        "",
        "succeeded Reserved(reservation='r1')",
    ]
    assert lines[-1] == ["expect Release"]


def test_an_error_tells_where_the_saga_stands(in_memory: SagaTest) -> None:
    scenario = in_memory(Order).start(PLACED)
    scenario.expect(Reserve)
    with pytest.raises(
        AssertionError, match=r"expected that it is completed\n +got running, waiting for reserve"
    ):
        scenario.settles("completed")


def test_a_command_that_nobody_expected_is_told(in_memory: SagaTest) -> None:
    with pytest.raises(AssertionError, match=r"expected no further command\n +got inventory.reserve"):
        in_memory(Order).start(PLACED).settles("running")


def test_another_commands_reply_is_refused(in_memory: SagaTest) -> None:
    asked = in_memory(Order).start(PLACED).expect(Reserve)
    with pytest.raises(BadScript, match="expected a Reserved, the reply of Reserve, got Charged"):
        asked.reply(CHARGED)


def test_a_point_that_there_is_not_is_refused(in_memory: SagaTest) -> None:
    with pytest.raises(BadScript, match=r"expected a point among received, loaded, .*, got 'lunch'"):
        in_memory(Order).crash(at="lunch")


def test_a_point_that_the_worker_never_came_to_is_told(in_memory: SagaTest) -> None:
    scenario = in_memory(Order).start(PLACED)
    scenario.expect(Reserve).reject("no stock")
    scenario.expect_nothing().crash(at="committed")
    with pytest.raises(AssertionError, match="expected that the worker came to committed, to die there"):
        scenario.settles("compensated")


class Pay(Command[Charged], subject="payments.pay"):
    note: str


class Nothing(BaseModel):
    pass


class Undo(Command, subject="payments.undo"):
    payment: str


def test_a_compensation_that_needs_the_reply_is_found_at_the_start(in_memory: SagaTest) -> None:
    class NeedsReply(Saga[Placed], name="needs-reply", version=1, key="order_id"):
        @step
        def pay(self) -> Pay:
            return Pay(note="")

        @pay.compensate
        def undo(self) -> Undo:
            return Undo(payment=self.reply(NeedsReply.pay).payment)

    with pytest.raises(AssertionError, match="expected that the compensation of pay can do without replies"):
        in_memory(NeedsReply).start(PLACED)


def test_a_function_that_is_not_pure_is_found(in_memory: SagaTest) -> None:
    numbers = count()

    class Dice(Saga[Placed], name="dice", version=1, key="order_id"):
        @step
        def pay(self) -> Pay:
            return Pay(note=str(next(numbers)))

    with pytest.raises(
        AssertionError, match=r"a saga in quarantine: NotPure: pay: expected its function to build"
    ):
        in_memory(Dice).start(PLACED)


def test_a_handler_that_is_not_pure_is_found(in_memory: SagaTest) -> None:
    numbers = count()

    class Dicing(ProcessManager[Nothing], name="dicing", version=1, sends=[Pay]):
        @starts(Placed, key="order_id")
        def placed(self, event: Placed) -> Iterator[Action]:
            yield send(Pay(note=str(next(numbers))))

    with pytest.raises(
        AssertionError, match=r"NotPure: orders.placed: expected its handler to decide the same"
    ):
        in_memory(Dicing).start(PLACED)
