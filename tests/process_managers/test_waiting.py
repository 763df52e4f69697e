"""Events on their way to the sagas that wait for them, over ports in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from amends import Event, Saga, step, wait_for
from amends.domain import wire
from amends.infrastructure.letters import header
from amends.infrastructure.ports import Outgoing
from tests.domain.driver import Charged, Order, Placed, Reserve
from tests.process_managers.system import NAMESPACE, System

MINUTE = timedelta(minutes=1)


class Answered(Event, subject="hosts.answered"):
    order_id: str
    accepted: bool = True


class Approved(Event, subject="staff.approved"):
    pass


class Booking(Saga[Placed], name="booking", version=1, key="order_id"):
    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    answer = wait_for(
        Answered,
        timeout=MINUTE,
        key="order_id",
        rejected_if=lambda answer: not answer.accepted,
        patience=MINUTE,
    )


class Approval(Saga[Placed], name="approval", version=1, key="order_id"):
    approve = wait_for(Approved, timeout=MINUTE)


def answer(key: str = "o1") -> bytes:
    return Answered(order_id=key).model_dump_json().encode()


async def approve(system: System, identity: str = "approval-1", **headers: str) -> None:
    named = {wire.CE_ID: identity, **headers}
    place = wire.event_subject(NAMESPACE, Approved.subject)
    await system.broker.publisher().publish([Outgoing(identity, place, named, b"{}")])


async def test_an_event_finds_its_saga_by_the_field_that_the_definition_names(system: System) -> None:
    await system.engine(Booking)
    await system.place("o1", "o2")
    await system.settle()
    await system.tell("hosts.answered", "answer-1", answer())
    await system.settle()
    assert await system.status("o1", "booking") == "completed"
    assert await system.status("o2", "booking") == "running"


@pytest.mark.parametrize("key", ["o1", "café 1", "100%"])
async def test_an_event_finds_its_saga_by_the_header_with_the_key(system: System, key: str) -> None:
    await system.engine(Approval)
    await system.place(key)
    await system.settle()
    await approve(system, **{wire.KEY: header(key)})
    await system.settle()
    assert await system.status(key, "approval") == "completed"


async def test_an_event_finds_its_saga_by_the_header_with_its_id(system: System) -> None:
    await system.engine(Approval)
    await system.place("o1")
    await system.settle()
    await approve(system, **{wire.SAGA: "approval@1", wire.SAGA_ID: str(system.id("o1", "approval"))})
    await system.settle()
    assert await system.status("o1", "approval") == "completed"


async def test_an_event_that_names_no_saga_is_a_dead_letter(system: System) -> None:
    await system.engine(Booking, Approval)
    await approve(system)
    await system.tell("hosts.answered", "answer-1", answer(""))
    await system.settle()
    by_header, by_field = [letter.reason for letter in system.store.dead.values()]
    assert "Amends-Key" in by_header
    assert "order_id" in by_field


async def test_an_event_that_is_earlier_than_its_saga_is_kept_and_consumed_when_it_starts(
    system: System,
) -> None:
    await system.engine(Booking)
    await system.tell("hosts.answered", "answer-1", answer())
    await system.settle()
    await system.nothing_is_left()
    assert not system.store.dead
    await system.place("o1")
    await system.settle()
    assert await system.status("o1", "booking") == "completed"
    assert not await system.store.take_held([("booking", 1)], 10)


async def test_an_event_whose_saga_never_starts_becomes_a_dead_letter_when_its_time_is_over(
    system: System,
) -> None:
    await system.engine(Booking)
    await system.tell("hosts.answered", "answer-1", answer())
    await system.later(seconds=55)
    assert not system.store.dead
    await system.later(seconds=10)
    (letter,) = system.store.dead.values()
    assert "no booking is found by the key 'o1'" in letter.reason
    assert [message.headers[wire.CE_ID] for message in await system.published("dead")] == ["answer-1"]


def approvals(missing: Any) -> type[Saga[Any]]:
    class Asking(Saga[Placed], name="asking", version=1, key="order_id"):
        approve = wait_for(Approved, timeout=MINUTE, missing=missing)

    return Asking


async def test_an_event_that_finds_no_saga_is_ignored_visibly_where_the_definition_says_so(
    system: System,
) -> None:
    await system.engine(approvals("ignore"))
    await approve(system, **{wire.KEY: "o1"})
    await system.settle()
    (event,) = await system.store.unclaimed(10)
    assert (event.message_id, event.became) == ("approval-1", "ignored")
    assert await system.published("dead") == []


async def test_an_event_that_finds_no_saga_is_a_dead_letter_where_the_definition_says_so(
    system: System,
) -> None:
    await system.engine(approvals("dead"))
    await approve(system, **{wire.KEY: "o1"})
    await system.settle()
    assert [message.headers[wire.CE_ID] for message in await system.published("dead")] == ["approval-1"]


async def test_an_event_that_comes_again_changes_nothing(system: System) -> None:
    await system.engine(Booking)
    await system.place("o1")
    for deduplication in ("once", "twice"):
        place = wire.event_subject(NAMESPACE, "hosts.answered")
        again = Outgoing("answer-1", place, {wire.CE_ID: "answer-1"}, answer(), deduplication)
        await system.broker.publisher().publish([again])
        await system.settle()
    assert (await system.told("o1", "booking")).count("event.received") == 1
    assert await system.status("o1", "booking") == "completed"


async def test_a_wait_that_times_out_wakes_the_saga_at_its_time(system: System) -> None:
    await system.engine(Booking)
    await system.place("o1")
    await system.later(seconds=55)
    assert await system.status("o1", "booking") == "running"
    await system.later(seconds=10)
    assert "wait.timed-out" in await system.told("o1", "booking")


async def test_a_wait_does_not_time_out_before_an_event_that_the_broker_had_in_time(system: System) -> None:
    engine = await system.engine(Booking)
    await system.place("o1")
    await system.settle()
    await system.stop(engine)
    await system.later(seconds=55)
    await system.tell("hosts.answered", "answer-1", answer())
    await system.later(seconds=120)
    await system.engine(Booking, name="two")
    await system.settle()
    assert await system.status("o1", "booking") == "completed"


async def test_one_event_is_heard_by_sagas_of_several_types_and_may_be_early_for_each(system: System) -> None:
    class Other(Booking, name="other", version=1, key="order_id"):
        pass

    await system.engine(Booking, Other)
    await system.tell("hosts.answered", "answer-1", answer())
    await system.settle()
    await system.place("o1")
    await system.settle()
    assert [await system.status("o1", saga) for saga in ("booking", "other")] == ["completed", "completed"]


async def test_a_saga_hears_the_reply_to_a_command_of_another_type(system: System) -> None:
    class Watch(Saga[Placed], name="watch", version=1, key="order_id"):
        paid = wait_for(Charged, timeout=MINUTE, key="payment")

    await system.engine(Order, Watch)
    await system.place("p1")
    await system.settle()
    assert await system.status("p1", "watch") == "completed"
    assert await system.status("p1", "order") == "completed"


async def test_a_wait_that_is_parked_is_told_to_who_follows_sagas(system: System) -> None:
    class Patient(Saga[Placed], name="patient", version=1, key="order_id"):
        @step(pivot=True)
        def reserve(self) -> Reserve:
            return Reserve(order_id=self.key)

        answer = wait_for(Answered, timeout=MINUTE, key="order_id", on_timeout="park")

    await system.engine(Patient)
    await system.place("o1")
    await system.later(seconds=70)
    (parked,) = [each for each in await system.published("sagas") if each.subject.endswith(".parked")]
    assert b'"step":"answer"' in parked.body


async def test_an_event_that_is_not_what_its_type_says_is_a_dead_letter(system: System) -> None:
    await system.engine(Booking)
    await system.place("o1")
    await system.settle()
    await system.tell("hosts.answered", "answer-1", b'{"order_id": "o1", "accepted": "perhaps"}')
    await system.settle()
    (letter,) = system.store.dead.values()
    assert "accepted" in letter.reason
    assert await system.status("o1", "booking") == "running"
