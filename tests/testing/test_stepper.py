"""The stepper: a system in one process, on virtual time, that does the same each time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from amends.testing.processes import Died, Move, Process
from amends.testing.stepper import Stepper
from amends.testing.virtual_time import Stuck, VirtualClock, VirtualLoop
from tests.domain.driver import Order

PLACED = b'{"order_id": "o1", "total": 100}'
MINUTE = timedelta(minutes=1)


def types(stepper: Stepper) -> list[str]:
    return [each.event.type for each in stepper.history(stepper.id("order", "o1"))]


def test_time_passes_only_when_it_is_told_to() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    began = clock.now()
    tasks = [loop.create_task(sleep(*each)) for each in (("late", 60.0), ("early", 0.000001), ("now", 0.0))]
    loop.run_ready()
    assert woken == ["now"]
    assert loop.next_timer == timedelta(microseconds=1)
    loop.move_to(MINUTE)
    loop.run_ready()
    assert woken == ["now", "early", "late"]
    assert clock.now() == began + MINUTE
    assert all(task.done() for task in tasks)


def test_asyncio_works_as_usual_on_virtual_time() -> None:
    loop = VirtualLoop()

    async def several() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(3)]
        return [task.result() for task in tasks]

    async def one(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def patient() -> str:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "?"

    assert loop.complete(several()) == [0, 1, 2]
    task = loop.create_task(patient())
    loop.run_ready()
    loop.move_to(timedelta(seconds=5))
    loop.run_ready()
    assert task.result() == "timed out"


def test_what_waits_for_something_else_cannot_be_completed() -> None:
    with pytest.raises(Stuck, match="waits for something"):
        VirtualLoop().complete(asyncio.Event().wait())


def test_a_worker_does_what_is_due_at_its_moment() -> None:
    stepper = Stepper()
    stepper.worker("one", [Order.definition])
    stepper.publish("orders.placed", "start", PLACED)
    stepper.settle()
    assert types(stepper) == ["saga.started", "command.recorded"]
    stepper.advance(timedelta(seconds=9.999))
    assert "command.timed-out" not in types(stepper)
    stepper.advance(timedelta(seconds=0.2))
    assert "command.timed-out" in types(stepper)
    stepper.close()


def test_a_killed_worker_has_no_effect_any_more_and_another_takes_over() -> None:
    stepper = Stepper()
    stepper.worker("one", [Order.definition])
    stepper.settle()
    stepper.kill("one")
    stepper.publish("orders.placed", "start", PLACED)
    stepper.advance(MINUTE)
    assert types(stepper) == []
    stepper.worker("two", [Order.definition])
    stepper.advance(MINUTE)
    assert types(stepper)[:2] == ["saga.started", "command.recorded"]
    stepper.close()


class DiesOnce:
    """Dies at the first gate or probe of this label."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.died: list[str] = []

    def at(self, program: str, label: str) -> Move:
        return Move.DIE if self._now(program, label) else Move.PASS

    def dies_at(self, program: str, probe: str) -> bool:
        return self._now(program, probe)

    def _now(self, program: str, label: str) -> bool:
        now = label == self.label and not self.died
        if now:
            self.died.append(program)
        return now


@pytest.mark.parametrize(
    ("label", "recorded", "published"),
    [
        ("received", 0, 0),
        ("loaded", 0, 0),
        ("store.commit", 0, 0),
        ("store.commit done", 2, 0),
        ("committed", 2, 0),
        ("publisher.publish", 2, 0),
        ("publisher.publish done", 2, 1),
        ("published", 2, 1),
        ("inbox.acknowledge", 2, 1),
        ("inbox.acknowledge done", 2, 1),
        ("acknowledged", 2, 1),
    ],
)
def test_a_worker_can_die_at_every_point_of_its_batch(label: str, recorded: int, published: int) -> None:
    chooser = DiesOnce(label)
    stepper = Stepper(chooser=chooser)
    stepper.worker("one", [Order.definition])
    stepper.publish("orders.placed", "start", PLACED)
    stepper.settle()
    assert chooser.died == ["one"]
    assert len(types(stepper)) == recorded
    assert len(stepper.published("commands")) == published
    stepper.worker("two", [Order.definition])
    stepper.advance(MINUTE)
    assert types(stepper)[:2] == ["saga.started", "command.recorded"]
    assert types(stepper).count("saga.started") == 1
    stepper.close()


def test_what_the_broker_lost_is_noticed_and_sent_again() -> None:
    stepper = Stepper()
    stepper.worker("one", [Order.definition])
    stepper.publish("orders.placed", "start", PLACED)
    stepper.settle()
    [command] = stepper.published("commands")
    stepper.lose("commands")
    stepper.advance(timedelta(seconds=6))
    [again] = stepper.published("commands")
    assert again.headers["ce-id"] == command.headers["ce-id"]
    assert again.body == command.body
    stepper.close()


def test_a_program_that_breaks_is_not_taken_for_one_that_was_killed() -> None:
    stepper = Stepper()

    async def broken(process: Process) -> None:
        raise ZeroDivisionError

    async def killed(process: Process) -> None:
        raise Died

    stepper.start("killed", killed).alive = False
    stepper.settle()
    stepper.start("broken", broken)
    with pytest.raises(ZeroDivisionError):
        stepper.settle()
