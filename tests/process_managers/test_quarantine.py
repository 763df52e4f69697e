"""A saga that cannot be decided is quarantined at its position, without delaying any other, until it is released."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from amends.domain.errors import ActionRefused
from amends.domain.events import SagaFailed
from amends.domain.inputs import Abandon, Release, Suspend
from amends.domain.saga import Saga, step
from amends.domain.wire import Outcome
from amends.infrastructure.ports import Held, Quarantined
from tests.domain.driver import SECOND, Notify, Placed, Reserve
from tests.infrastructure.store_data import batch, recorded_as
from tests.process_managers.system import Instead, System

FAULT = "ZeroDivisionError: a fault (test_quarantine.py, line "
BROKEN = {"large"}
"""The orders whose second step cannot be built at present."""


class Faulty(Saga[Placed], name="order", version=1, key="order_id"):
    """Its second step cannot be built for some orders."""

    @step(timeout=SECOND * 10)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step
    def notify(self) -> Notify:
        if self.key in BROKEN:
            raise ZeroDivisionError("a fault")
        return Notify(order_id=self.key)


class Mended(Saga[Placed], name="order", version=1, key="order_id"):
    """The same steps, of which the second can be built for all."""

    @step(timeout=SECOND * 10)
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)

    @step
    def notify(self) -> Notify:
        return Notify(order_id=self.key)


class Unstartable(Saga[Placed], name="order", version=1, key="order_id"):
    """Its first step cannot be built."""

    @step
    def reserve(self) -> Reserve:
        raise ZeroDivisionError("a fault")


class Startable(Saga[Placed], name="order", version=2, key="order_id"):
    """Another version, whose first step can."""

    @step
    def reserve(self) -> Reserve:
        return Reserve(order_id=self.key)


async def quarantined(system: System) -> Quarantined:
    [one] = await system.store.quarantined()
    return one


@pytest.mark.semantics("quarantine")
async def test_a_saga_that_cannot_be_decided_is_put_into_quarantine_and_the_others_go_on(
    system: System,
) -> None:
    await system.engine(Faulty)
    await system.place("large")
    await system.place("o1", "o2")
    await system.settle()
    told = await quarantined(system)
    assert (told.saga_id, told.version, told.held) == (system.id("large"), 2, 1)
    assert told.error.startswith(FAULT)
    assert [await system.status(key) for key in ("large", "o1", "o2")] == [
        "running",
        "completed",
        "completed",
    ]
    assert await system.told("large") == ["saga.started", "command.recorded"]
    await system.later(minutes=2)  # its timers do not fire either
    assert await system.told("large") == ["saga.started", "command.recorded"]
    await system.nothing_is_left()


@pytest.mark.semantics("quarantine-release")
async def test_an_operator_releases_it_and_what_was_held_is_handled_before_its_timers(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    await system.later(minutes=2)  # its attempt has long expired, and was answered in time
    monkeypatch.setattr(f"{__name__}.BROKEN", set())
    await system.act(Release("r1", "mended", by="anna"), "large", sagas=())
    await system.later(seconds=6)
    assert await system.status("large") == "completed"
    assert await system.told("large") == [
        *("saga.started", "command.recorded", "saga.released"),
        *("command.succeeded", "command.recorded", "command.succeeded", "saga.completed"),
    ]
    assert system.services.asked == ["reserve large", "notify large"]


async def test_what_is_held_is_handled_in_the_order_in_which_it_came(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.services.says["reserve"] = None
    await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    [command] = system.services.received
    await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    await system.services.answer(command, Outcome.REJECTED)
    await system.place("large", total=7, message_id="another")
    await system.settle()
    assert (await quarantined(system)).held == 3
    monkeypatch.setattr(f"{__name__}.BROKEN", set())
    await system.act(Release("r1", "mended", by="anna"), "large", sagas=())
    await system.later(seconds=6)
    assert (await system.told("large"))[3:] == [
        *("command.succeeded", "command.recorded", "command.contradiction", "saga.start-refused"),
        *("command.succeeded", "saga.completed"),
    ]


async def test_what_comes_while_held_messages_are_taken_is_handled_after_them(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = False

    async def take_held(*which: Any) -> Sequence[Held]:
        nonlocal released
        if released:
            released = False
            await system.services.answer(command, Outcome.REJECTED)
            for _ in range(20):
                await asyncio.sleep(0)
        return await system.store.take_held(*which)

    system.services.says["reserve"] = None
    await system.engine(Faulty, store=Instead(system.store, take_held=take_held))
    await system.place("large")
    await system.settle()
    [command] = system.services.received
    await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    assert (await quarantined(system)).held == 1
    monkeypatch.setattr(f"{__name__}.BROKEN", set())
    await system.act(Release("r1", "mended", by="anna"), "large", sagas=())
    released = True
    await system.later(seconds=6)
    assert not released
    assert (await system.told("large"))[3:6] == [
        *("command.succeeded", "command.recorded", "command.contradiction"),
    ]


@pytest.mark.semantics("quarantine-release")
async def test_a_worker_that_starts_with_a_mended_definition_releases_it(system: System) -> None:
    faulty = await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    await system.stop(faulty)
    await system.engine(Mended)
    await system.settle()
    assert await system.status("large") == "completed"
    assert await system.store.quarantined() == []


async def test_a_start_that_could_not_be_decided_begins_under_a_new_version(system: System) -> None:
    faulty = await system.engine(Unstartable)
    await system.place("large")
    await system.settle()
    assert ((await quarantined(system)).version, await system.told("large")) == (0, [])
    await system.stop(faulty)
    await system.engine(Startable)
    await system.settle()
    assert await system.status("large") == "completed"


async def test_a_start_that_could_not_be_decided_is_released_though_it_has_no_history(system: System) -> None:
    await system.engine(Unstartable)
    await system.place("large")
    await system.settle()
    with pytest.raises(ActionRefused, match="is in quarantine"):
        await system.act(Abandon("a1", "enough", by="anna"), "large", sagas=())
    await system.act(Release("r1", "once more", by="anna"), "large", sagas=())
    assert await system.store.quarantined() == []


async def test_a_release_that_came_too_early_leads_back_into_quarantine_and_nothing_is_lost(
    system: System,
) -> None:
    await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    await system.act(Release("r1", "mended, perhaps", by="anna"), "large")
    await system.later(seconds=6)
    told = await quarantined(system)
    assert (told.held, told.version) == (1, 3)
    assert await system.told("large") == ["saga.started", "command.recorded", "saga.released"]
    await system.act(Release("r1", "mended, perhaps", by="anna"), "large")  # the same request again
    assert (await quarantined(system)).version == 3


async def test_the_same_release_again_changes_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    monkeypatch.setattr(f"{__name__}.BROKEN", set())
    for _ in range(2):
        await system.act(Release("r1", "mended", by="anna"), "large", sagas=())
    with pytest.raises(ActionRefused, match="in none"):
        await system.act(Release("r2", "mended", by="anna"), "large", sagas=())
    assert (await system.told("large")).count("saga.released") == 1


@pytest.mark.semantics("quarantine")
async def test_the_same_release_of_a_saga_without_a_history_again_changes_nothing(system: System) -> None:
    """There is nothing to record it in, so it is kept beside."""
    await system.engine(Unstartable)
    await system.place("o1")
    await system.settle()
    assert (await quarantined(system)).version == 0
    for _ in range(2):
        await system.act(Release("r1", "mended", by="anna"), "o1", sagas=())
    with pytest.raises(ActionRefused, match="in none"):
        await system.act(Release("r2", "mended", by="anna"), "o1", sagas=())


async def test_an_event_that_cannot_be_read_puts_its_saga_into_quarantine(system: System) -> None:
    """Its bytes are not what its type says; the first one that reads it is put off, and the others go on."""
    system.services.says["reserve"] = None
    await system.engine(Mended)
    await system.place("o1", "o2")
    await system.settle()
    saga = (await system.store.load([system.id("o1")])).aggregates[system.id("o1")]
    before = saga.version
    saga.append([(await system.history("o2"))[-1].event])
    await system.store.commit(batch((recorded_as(saga, stored=b"{}"), before)))
    for command in system.services.received:
        await system.services.answer(command, Outcome.SUCCEEDED)
    await system.settle()
    told = await quarantined(system)
    assert "UnreadableEvent" in told.error
    assert "command.recorded:1" in told.error
    assert told.held == 1
    assert await system.status("o2") == "completed"
    with pytest.raises(ActionRefused, match="is in quarantine"):
        await system.act(Abandon("a1", "enough", by="anna"))
    await system.act(Release("r1", "restored", by="anna"))
    await system.later(seconds=6)
    assert (await quarantined(system)).held == 1, "nothing is lost while nobody can read it"


async def test_a_saga_in_quarantine_can_be_abandoned_and_nothing_else_be_done_to_it(system: System) -> None:
    await system.engine(Faulty)
    await system.place("large")
    await system.settle()
    with pytest.raises(ActionRefused, match="amends release"):
        await system.act(Suspend("s1", "wait", by="anna"), "large")
    await system.act(Abandon("a1", "enough", by="anna"), "large", sagas=())
    await system.later(seconds=6)
    assert await system.status("large") == "failed"
    failed = next(r.event for r in await system.history("large") if isinstance(r.event, SagaFailed))
    assert [key.step for key in failed.unresolved] == ["reserve"]
    assert await system.store.quarantined() == []
    assert await system.store.take_held([("order", 1)], 10) == []


async def test_what_is_in_no_quarantine_cannot_be_released(system: System) -> None:
    await system.engine(Mended)
    await system.place("o1")
    await system.settle()
    with pytest.raises(ActionRefused, match="expected a saga in quarantine to release"):
        await system.act(Release("r1", "mended", by="anna"))
