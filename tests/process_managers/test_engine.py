"""The engine over ports in memory: what is recorded, published and acknowledged, whoever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from amends.domain import wire
from amends.domain.inputs import Cancel
from amends.domain.saga import Saga, step
from amends.domain.wire import Outcome
from amends.infrastructure.broker import MessageTooLarge, NotStored, streams
from amends.infrastructure.ports import Commit, Due, Incoming, Outgoing
from amends.process_managers.consumers import ACK_WAIT
from tests.domain.driver import Order, Placed, Reserve
from tests.process_managers.system import NAMESPACE, Died, Instead, System, commands

COMPLETED = ["reserve o1", "charge o1", "ship o1", "notify o1"]
COMPENSATED = ["reserve o1", "charge o1", "undo reserve o1"]


# What sagas come to


async def test_a_saga_whose_steps_succeed_is_completed(system: System) -> None:
    await system.engine()
    await system.place("o1")
    await system.settle()
    assert await system.status() == "completed"
    assert system.services.asked == COMPLETED
    milestones = [message.subject for message in await system.published("sagas")]
    assert milestones == ["test.saga.order.started", "test.saga.order.completed"]
    await system.nothing_is_left()


async def test_a_saga_whose_step_is_rejected_is_compensated(system: System) -> None:
    system.services.says["charge"] = Outcome.REJECTED
    await system.engine()
    await system.place("o1")
    await system.settle()
    assert await system.status() == "compensated"
    assert system.services.asked == COMPENSATED
    await system.nothing_is_left()


@pytest.mark.semantics("compensation-recorded")
async def test_every_command_that_is_published_is_recorded_before_and_the_reverse(system: System) -> None:
    system.services.says |= {"charge": Outcome.REJECTED, "undo reserve": Outcome.FAILED}
    await system.engine()
    await system.place("o1")
    await system.later(seconds=10)
    recorded = [str(command.command_id) for command in commands(await system.history())]
    assert recorded == system.services.ids()
    assert len(set(recorded)) == len(recorded) > 4


async def test_more_sagas_than_fit_into_a_batch(system: System) -> None:
    keys = [f"o{number}" for number in range(50)]
    system.services.says["charge"] = None
    await system.engine(batch_size=7)
    await system.place(*keys)
    await system.settle()
    assert await system.statuses() == {"running"}
    await system.later(seconds=40)  # all time out together, three times
    assert await system.statuses() == {"compensated"}
    assert sorted(system.services.asked).count("charge o7") == 3


async def test_what_cannot_be_read_is_a_dead_letter_and_its_batch_goes_on(system: System) -> None:
    await system.place("o1")
    await system.tell("orders.placed", "broken", b"{not json")
    await system.engine()
    await system.settle()
    assert await system.status() == "completed"
    assert "JSON" in system.store.dead["broken"].reason
    [letter] = await system.published("dead")
    assert (letter.subject, letter.body) == ("test.dead.worker", b"{not json")
    assert letter.headers["Amends-Dead-Subject"] == "test.evt.orders.placed"
    await system.nothing_is_left()


async def test_a_second_start_for_a_key_is_refused_and_the_saga_goes_on(system: System) -> None:
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1")
    await system.settle()
    await system.place("o1", total=200, message_id="other")
    await system.settle()
    assert (await system.told())[-1] == "saga.start-refused"
    assert "expected a new key" in system.store.dead["other"].reason
    assert [letter.headers[wire.CE_ID] for letter in await system.published("dead")] == ["other"]
    await system.services.answer(system.services.received[-1], Outcome.SUCCEEDED)
    await system.settle()
    assert await system.status() == "completed"


# Time


async def test_a_step_without_an_answer_is_tried_again_and_then_compensated(system: System) -> None:
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1")
    await system.later(seconds=60)
    assert await system.status() == "compensated"
    assert system.services.asked == [
        *COMPENSATED[:2],
        *["charge o1"] * 2,
        "undo charge o1",
        "undo reserve o1",
    ]


async def test_a_timer_fires_when_it_is_due_and_not_at_the_next_look(system: System) -> None:
    """An engine looks round every five seconds, from its start on; the timeout falls in between."""
    system.services.says["reserve"] = None
    await system.engine()
    await system.later(seconds=2)
    await system.place("o1")
    await system.settle()
    await system.later(seconds=9.9)
    assert "command.timed-out" not in await system.told()
    await system.later(seconds=0.2)
    assert "command.timed-out" in await system.told()


@pytest.mark.semantics("timers-and-messages")
async def test_a_timer_waits_for_events_that_came_before_it_fell_due(system: System) -> None:
    """Another worker took the answer and died; the timeout must not overtake its redelivery."""
    system.services.says["reserve"] = None
    engine = await system.engine()
    await system.place("o1")
    await system.settle()
    await system.later(seconds=9)
    await system.stop(engine)
    dead_workers = await system.inbox(Order)
    await system.services.answer(system.services.received[0], Outcome.SUCCEEDED)
    assert len(await dead_workers.receive(10, 0)) == 1
    await system.engine(name="two")
    await system.later(seconds=ACK_WAIT - 1)  # the timeout was due after ten seconds
    assert await system.told() == ["saga.started", "command.recorded"]
    await system.later(seconds=2)
    assert await system.status() == "completed"
    assert "command.timed-out" not in await system.told()


@pytest.mark.semantics("timers-and-messages")
async def test_a_worker_that_was_down_for_a_day_times_nothing_out_that_was_answered(system: System) -> None:
    system.services.says["reserve"] = None
    engine = await system.engine()
    await system.place("o1")
    await system.settle()
    await system.stop(engine)
    await system.services.answer(system.services.received[0], Outcome.SUCCEEDED)
    system.stepper.jump(timedelta(minutes=50))
    await system.engine()
    await system.settle()
    assert await system.status() == "completed"
    assert "command.timed-out" not in await system.told()


@pytest.mark.semantics("timers-and-messages")
async def test_a_timer_waits_for_events_that_came_since_the_broker_lost_its_consumers(system: System) -> None:
    """An engine looks for losses every five seconds; the answer comes, and the timeout falls due, in between."""
    system.services.says["reserve"] = None
    await system.engine()
    await system.later(seconds=2)
    await system.place("o1")
    await system.settle()
    await system.later(seconds=9.9)
    system.stepper.lose("events")
    await system.broker.ensure(streams(NAMESPACE, timedelta(days=7)), [])
    await system.services.answer(system.services.received[0], Outcome.SUCCEEDED)
    await system.later(seconds=0.2)
    assert await system.told() == ["saga.started", "command.recorded"]
    await system.later(seconds=10)
    assert await system.status() == "completed"
    assert "command.timed-out" not in await system.told()


async def test_an_engine_with_nothing_to_do_does_nothing(system: System) -> None:
    asked = 0

    class Counted(Instead):
        def __getattr__(self, name: str) -> Any:
            nonlocal asked
            asked += 1
            return super().__getattr__(name)

    system.services.says["reserve"] = None
    await system.engine(store=Counted(system.store))
    await system.place("o1")
    await system.settle()
    asked = 0
    await system.rest()
    assert asked == 0
    await system.later(seconds=9)
    assert asked < 20


# Who dies in between


@pytest.mark.semantics("compensation-recorded")
async def test_the_outbox_of_a_worker_that_died_before_it_published_is_swept(system: System) -> None:
    async def publish(messages: Sequence[Outgoing]) -> None:
        raise Died

    doomed = await system.engine(publisher=Instead(system.broker.publisher(), publish=publish))
    await system.place("o1")
    await system.died(doomed)
    assert await system.told() == ["saga.started", "command.recorded"]
    await system.settle()
    assert system.services.asked == []
    await system.engine(name="two")
    await system.later(seconds=31)  # until what the dead one had taken is delivered again
    assert await system.status() == "completed"
    assert system.services.asked == COMPLETED
    await system.nothing_is_left()


async def test_a_running_worker_sweeps_the_outbox_of_one_that_died(system: System) -> None:
    async def publish(messages: Sequence[Outgoing]) -> None:
        raise Died

    inbox = await system.inbox(Order)
    inbox.pause("start-order")
    await system.engine(inbox=inbox)
    await system.settle()
    doomed = await system.engine(name="two", publisher=Instead(system.broker.publisher(), publish=publish))
    await system.place("o1")
    await system.died(doomed)
    await system.settle()
    assert system.services.asked == []
    await system.later(seconds=11)  # when it is old enough to belong to nobody, and looked for
    assert await system.status() == "completed"
    assert system.services.asked == COMPLETED


async def test_what_was_published_and_not_acknowledged_changes_nothing_the_second_time(
    system: System,
) -> None:
    inbox = await system.inbox(Order)

    async def acknowledge(messages: Sequence[Incoming]) -> None:
        raise Died

    doomed = await system.engine(inbox=Instead(inbox, acknowledge=acknowledge))
    await system.place("o1")
    await system.died(doomed)
    before = await system.told()
    await system.engine(name="two")
    await system.settle()
    await system.later(seconds=31)
    assert (await system.told())[: len(before)] == before
    assert await system.status() == "completed"
    assert system.services.asked == COMPLETED
    await system.nothing_is_left()


async def test_an_answer_that_comes_twice_is_recorded_once(system: System) -> None:
    await system.engine()
    await system.place("o1")
    await system.settle()
    before = await system.told()
    for command in list(system.services.received):
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.later(minutes=3)
    assert await system.told() == before
    assert system.services.asked == COMPLETED
    await system.nothing_is_left()


async def test_what_the_broker_refuses_stays_in_the_outbox_until_it_takes_it() -> None:
    [first, *_] = streams(NAMESPACE, timedelta(seconds=8))
    system = System(replace(first, max_messages=1))
    await system.open()
    await system.engine()
    await system.place("o1", "o2")
    await system.settle()
    assert system.services.asked == ["reserve o1"]
    assert await system.told("o2") == ["saga.started", "command.recorded"]
    system.services.says["ship"] = system.services.says["charge"] = None
    await system.later(seconds=30)
    assert "reserve o2" in system.services.asked
    await system.close()


class Narrow:
    """A publisher to a server that takes nothing which is for these orders, for its size: then nothing is sent."""

    def __init__(self, system: System, *keys: str) -> None:
        self.keys = keys
        self._publisher = system.broker.publisher()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if large := [each for each in messages if each.headers.get(wire.KEY) in self.keys]:
            raise MessageTooLarge([NotStored(each, "too large") for each in large])
        await self._publisher.publish(messages)


async def test_what_is_too_large_to_be_sent_costs_no_other_message(system: System) -> None:
    """Of one batch; neither is it taken for sent itself, nor does it hold up what somebody left behind."""
    narrow = Narrow(system, "o1")
    await system.engine(publisher=narrow)
    await system.place("o1", "o2")
    await system.settle()
    assert await system.status("o2") == "completed"
    assert [each.split()[1] for each in system.services.asked] == ["o2"] * 4
    assert [each.subject for each in await system.store.unpublished(10, timedelta(0))]
    narrow.keys = ()
    await system.later(seconds=11)
    assert await system.status("o1") == "completed"


async def test_what_the_broker_refuses_for_ever_holds_up_no_other_message_left_behind(system: System) -> None:
    narrow = Narrow(system, "o1", "o2", "o3")
    await system.engine(publisher=narrow, batch_size=2)
    await system.place("o1", "o2", "o3")
    await system.settle()
    left = Outgoing("left", f"{NAMESPACE}.dead.worker", {wire.CE_ID: "left"}, b"{}")
    await system.store.commit(Commit(outbox=[(None, left)]))
    await system.later(seconds=11)
    assert [each.headers[wire.CE_ID] for each in await system.published("dead")] == ["left"]
    assert {each.headers[wire.KEY] for each in await system.store.unpublished(10, timedelta(0))} == {
        "o1",
        "o2",
        "o3",
    }


@pytest.mark.parametrize("jump", [-1, 1])
async def test_what_was_left_behind_is_found_soon_though_the_clock_of_the_database_was_set(
    system: System, jump: int
) -> None:
    await system.engine()
    await system.later(seconds=6)
    system.stepper.database_clock.ahead = timedelta(hours=jump)
    await system.place("o1")
    await system.settle()
    left = Outgoing("left", f"{NAMESPACE}.dead.worker", {wire.CE_ID: "left"}, b"{}")
    await system.store.commit(Commit(outbox=[(None, left)]))
    await system.later(seconds=11)
    assert [each.headers[wire.CE_ID] for each in await system.published("dead")] == ["left"]


async def test_a_timer_that_is_set_while_timers_are_taken_is_not_overlooked(system: System) -> None:
    """The batch that sets it is saved between the look at the store and the answer."""
    system.services.says["reserve"] = None
    saved, answered = asyncio.Event(), asyncio.Event()
    saved.set()
    answered.set()

    async def commit(changes: Commit) -> frozenset[Any]:
        await saved.wait()
        return await system.store.commit(changes)

    async def take_due(*asked: Any) -> Due:
        due = await system.store.take_due(*asked)
        await answered.wait()
        return due

    await system.engine(store=Instead(system.store, commit=commit, take_due=take_due))
    await system.place("o1")
    await system.later(seconds=4)
    saved.clear()
    answered.clear()
    await system.services.answer(system.services.received[0], Outcome.FAILED)
    await system.later(seconds=2)
    saved.set()
    await system.settle()
    answered.set()
    del system.services.says["reserve"]
    await system.later(seconds=2)
    assert system.services.asked[:2] == ["reserve o1"] * 2


# Two engines


async def test_a_conflict_over_one_saga_does_not_cost_the_others_their_work(system: System) -> None:
    """Between the engine's decision and its commit, somebody cancels one of the sagas of its batch."""
    system.services.says["reserve"] = None
    engine = await system.engine()
    await system.place("o1", "o2", "o3")
    await system.settle()
    await system.stop(engine)
    for command in system.services.received:
        await system.services.answer(command, Outcome.SUCCEEDED)
    saved: list[list[str]] = []

    async def commit(changes: Commit) -> frozenset[Any]:
        if not saved:
            await system.act(Cancel("c1", "changed her mind", by="anna"), "o2")
        saved.append(sorted(row.key for row in changes.rows))
        return await system.store.commit(changes)

    await system.engine(name="two", store=Instead(system.store, commit=commit))
    await system.settle()
    assert saved[:2] == [["o1", "o2", "o3"], ["o2"]]
    assert [await system.status(key) for key in ("o1", "o2", "o3")] == [
        "completed",
        "compensated",
        "completed",
    ]
    assert "saga.cancel-requested" in await system.told("o2")
    assert len(set(system.services.ids())) == len(system.services.ids())
    await system.nothing_is_left()


async def test_two_engines_side_by_side_do_everything_once(system: System) -> None:
    system.services.says["undo reserve"] = None
    await system.engine(name="one", batch_size=3)
    await system.engine(name="two", batch_size=3)
    system.services.says["charge"] = Outcome.REJECTED
    keys = [f"o{number}" for number in range(20)]
    await system.place(*keys)
    await system.later(seconds=25)
    system.services.says.pop("undo reserve")
    await system.later(minutes=5)
    assert await system.statuses() == {"compensated"}
    assert len(set(system.services.ids())) == len(system.services.ids())
    for key in keys:
        assert len(commands(await system.history(key))) == sum(
            asked.endswith(f" {key}") for asked in system.services.asked
        )
    await system.nothing_is_left()


async def test_a_saga_that_somebody_changed_since_the_engine_saved_it_is_decided_as_it_is_now(
    system: System,
) -> None:
    """The engine did not load it again; the commit tells it that it should have."""
    system.services.says["charge"] = None
    await system.engine()
    await system.place("o1", "o2")
    await system.settle()
    await system.act(Cancel("c1", "changed her mind", by="anna"), "o2")
    for command in system.services.received[-2:]:
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    assert [await system.status(key) for key in ("o1", "o2")] == ["completed", "compensated"]
    assert "saga.cancel-requested" in await system.told("o2")


# More than one batch at once


async def test_the_next_batch_is_saved_without_waiting_for_the_last_one(system: System) -> None:
    saving: list[list[str]] = []
    go_on = asyncio.Event()

    async def commit(changes: Commit) -> frozenset[Any]:
        saving.append([row.key for row in changes.rows])
        await go_on.wait()
        return await system.store.commit(changes)

    await system.engine(store=Instead(system.store, commit=commit))
    for key in ("o1", "o2", "o3"):
        await system.place(key)
        await system.rest()
    assert saving == [["o1"], ["o2"]]
    go_on.set()
    await system.settle()
    assert await system.statuses() == {"completed"}
    await system.nothing_is_left()


async def test_a_saga_is_in_the_hands_of_one_batch_at_a_time(system: System) -> None:
    """Its next message waits for the commit of the last one, and nothing is decided for a conflict."""
    lost: list[frozenset[Any]] = []
    saving: list[int] = []
    go_on = asyncio.Event()

    async def commit(changes: Commit) -> frozenset[Any]:
        saving.append(len(changes.rows))
        await go_on.wait()
        lost.append(await system.store.commit(changes))
        return lost[-1]

    await system.engine(store=Instead(system.store, commit=commit))
    await system.place("o1")
    await system.rest()
    await system.place("o1", total=200, message_id="other")
    await system.rest()
    assert saving == [1]
    go_on.set()
    await system.settle()
    assert "saga.start-refused" in await system.told()
    assert "expected a new key" in system.store.dead["other"].reason
    assert set(lost) == {frozenset()}


async def test_an_error_in_a_batch_ends_the_engine_with_that_error(system: System) -> None:
    async def commit(_: Commit) -> frozenset[Any]:
        raise Died

    engine = await system.engine(store=Instead(system.store, commit=commit))
    await system.place("o1")
    await system.died(engine)
    assert await system.status() == "unknown"


# Versions


class Second(Saga[Placed], name="order", version=2, key="order_id"):
    """A version that only reserves."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


@pytest.mark.semantics("versions")
async def test_two_versions_side_by_side(system: System) -> None:
    system.services.says["charge"] = None
    first = await system.engine(Order)
    await system.place("o1")
    await system.settle()
    await system.stop(first)
    await system.engine(Order, Second)
    await system.place("o2")
    await system.services.answer(system.services.received[-1], Outcome.SUCCEEDED)
    await system.settle()
    assert await system.statuses() == {"completed"}
    assert sorted(system.services.asked) == sorted([*COMPLETED, "reserve o2"])
    rows = {row.key: row.definition for row in await system.store.saga_rows()}
    assert rows == {"o1": 1, "o2": 2}


@pytest.mark.semantics("version-not-held")
async def test_a_message_for_a_version_that_is_not_held_waits_for_an_engine_that_holds_it(
    system: System,
) -> None:
    system.services.says["reserve"] = None
    first = await system.engine(Order)
    await system.place("o1")
    await system.settle()
    await system.stop(first)
    await system.services.answer(system.services.received[0], Outcome.SUCCEEDED)
    await system.engine(Second)
    await system.later(minutes=2)  # and its timers are left alone
    assert await system.told() == ["saga.started", "command.recorded"]
    await system.nothing_is_left()
    await system.engine(Order, name="old")
    await system.settle()
    assert (await system.told())[2] == "command.succeeded"
    await system.later(minutes=1)  # what the other engine took is held for this one
    assert await system.status() == "completed"


# Running and stopping


async def test_an_idle_engine_stops_at_once(system: System) -> None:
    engine = await system.engine()
    await system.rest()
    await system.stop(engine)


async def test_an_engine_that_is_told_to_stop_finishes_the_batch_in_hand(system: System) -> None:
    async def commit(changes: Commit) -> frozenset[Any]:
        engine.stopping.set()
        for _ in range(10):  # until it has given up waiting for more
            await asyncio.sleep(0)
        await system.place("o2")
        return await system.store.commit(changes)

    engine = await system.engine(store=Instead(system.store, commit=commit))
    await system.place("o1")
    await system.rest()
    assert not engine.alive
    assert await system.told() == ["saga.started", "command.recorded"]
    assert [message.headers[wire.KEY] for message in await system.published("commands")] == ["o1"]
    assert await system.status("o2") == "unknown"
    left = await (await system.inbox(Order)).receive(10, 0)
    assert [message.headers[wire.CE_ID] for message in left] == ["start-o2"]


async def test_an_engine_that_is_told_to_stop_while_it_has_no_room_takes_nothing_more(system: System) -> None:
    committing = 0
    told = asyncio.Event()

    async def commit(changes: Commit) -> frozenset[Any]:
        nonlocal committing
        committing += 1
        if committing == 2:  # as many batches as there may be at once
            engine.stopping.set()
            for _ in range(10):
                await asyncio.sleep(0)
            await system.place("o3")
            told.set()
        await told.wait()
        return await system.store.commit(changes)

    engine = await system.engine(store=Instead(system.store, commit=commit), batch_size=1)
    await system.place("o1", "o2")
    await system.rest()
    assert not engine.alive
    assert [await system.told("o1"), await system.told("o2")] == [["saga.started", "command.recorded"]] * 2
    left = await (await system.inbox(Order)).receive(10, 0)
    assert [message.headers[wire.CE_ID] for message in left] == ["start-o3"]
