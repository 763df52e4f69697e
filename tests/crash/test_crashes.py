"""Anything may die between any two lines: nothing is lost, nothing doubled, no history has a gap."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from uuid import UUID

import pytest

from amends import Client, Worker
from amends.domain.events import SagaEvent
from amends.examples.order.saga import Order
from amends.infrastructure.ports import SagaRow
from tests.crash import timers
from tests.crash.outage import (
    Town,
    kill,
    ready,
    services,
    services_process,
    timers_process,
    town,
    worker_process,
)

LABELS = ("received", "loaded", "committed", "published", "acknowledged")


@pytest.mark.parametrize("label", LABELS)
async def test_a_worker_killed_at(label: str, tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place:
        doomed = await worker_process(place, label, 3)
        await ready(doomed)
        await place.place(20)
        async with asyncio.timeout(60):
            assert await doomed.wait() == -signal.SIGKILL
        async with Worker([Order], place.settings, deliver="all"):
            await place.check()


async def test_a_worker_killed_in_the_middle_of_200_sagas(tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place:
        doomed = await worker_process(place)
        await ready(doomed)
        await place.place(200)
        await place.until(lambda s: sum(v == "completed" for v in s.values()) > 20)
        doomed.kill()
        await doomed.wait()
        assert "running" in (await place.statuses()).values()
        async with Worker([Order], place.settings):
            await place.check()


async def test_a_worker_that_is_told_to_stop_finishes_its_batch(tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place:
        polite = await worker_process(place)
        await ready(polite)
        await place.place(100)
        await place.until(lambda s: sum(v == "completed" for v in s.values()) > 5)
        polite.terminate()
        async with asyncio.timeout(30):
            assert await polite.wait() == 0
        async with Worker([Order], place.settings):
            await place.check()


async def test_nats_killed_and_its_store_deleted_in_the_middle_of_200_sagas(tmp_path: Path) -> None:
    """The payment's timeout is ten minutes: what is lost is sent again because the loss is noticed."""
    async with town(tmp_path / "data") as place, Worker([Order], place.settings):
        await place.place(200)
        await place.until(lambda s: len(s) == 200)
        place.kill_nats_with_its_store()
        await place.settled(25)  # before any attempt can have timed out
        await place.check()


async def test_postgresql_killed_under_load(tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place, Worker([Order], place.settings):
        await place.place(200)
        await place.until(lambda s: sum(v == "completed" for v in s.values()) > 20)
        kill(place.servers.postgres_pid)
        await place.check()


async def test_everything_killed_at_once_in_the_middle_of_200_sagas(tmp_path: Path) -> None:
    """Worker, services, PostgreSQL, and NATS with its store: as in a failure of the machine, and worse."""
    async with town(tmp_path / "data", staffed=False) as place:
        doomed = [await services_process(place), await worker_process(place)]
        for process in doomed:
            await ready(process)
        await place.place(200)
        await place.until(lambda s: sum(v == "completed" for v in s.values()) > 20)
        for process in doomed:
            process.kill()
        before = (place.servers.postgres_pid, place.servers.nats_pid)
        kill(place.servers.postgres_pid)
        place.kill_nats_with_its_store()
        for process in doomed:
            await process.wait()
        await place.servers_are_back(before)
        async with services(place.settings), Worker([Order], place.settings):
            await place.check()


@pytest.mark.semantics("timers")
async def test_timers_of_every_kind_outlive_worker_and_servers(tmp_path: Path) -> None:
    async with town(tmp_path / "data", staffed=False) as place:
        doomed = await timers_process(place)
        await ready(doomed)
        async with timers.faulty().running(place.settings), Client(place.settings) as client:
            await client.start(timers.Attempt, timers.Begun(key="k"))  # which starts all of them
            before = await _until_set(place)
        before_pids = (place.servers.postgres_pid, place.servers.nats_pid)
        doomed.kill()
        kill(place.servers.postgres_pid)
        place.kill_nats_with_its_store()
        await doomed.wait()
        await place.servers_are_back(before_pids)
        async with Worker(timers.TIMED, place.settings, name="second"):
            for saga, (row, told) in before.items():
                event = await _next_event(place, row.saga_id, told)
                assert (event.type, event.cause, event.by) == (timers.KINDS[saga], "timer", "second")
                assert row.wake_up is not None
                assert event.at >= row.wake_up


async def _until_set(place: Town) -> dict[str, tuple[SagaRow, int]]:
    """Every saga with the length of its history, when their timers are set."""
    async with asyncio.timeout(30):
        while True:
            rows = {row.saga: row for row in await place.store.saga_rows()}
            told = {saga: await place.store.history(row.saga_id) for saga, row in rows.items()}
            delayed = any(each.event.type == "command.retry-scheduled" for each in told.get("delay", ()))
            # Rows are read before histories: a saga may have gone on in between.
            alike = all(row.version == len(told[saga]) for saga, row in rows.items())
            if rows.keys() == timers.KINDS.keys() and delayed and alike:
                return {saga: (row, len(told[saga])) for saga, row in rows.items()}
            await asyncio.sleep(0.02)


async def _next_event(place: Town, saga_id: UUID, told: int) -> SagaEvent:
    async with asyncio.timeout(60):
        while len(history := await place.store.history(saga_id)) == told:  # noqa: ASYNC110 - nor does this
            await asyncio.sleep(0.02)
    return history[told].event


DECIDED = {"saga.started", "command.succeeded", "command.rejected", "command.failed"}


async def test_two_workers_share_the_sagas_and_one_decides_all_of_each(tmp_path: Path) -> None:
    """What the other receives of it is passed on, so that neither has to read its history."""
    async with (
        town(tmp_path / "data") as place,
        Worker([Order], place.settings, name="one"),
        Worker([Order], place.settings, name="two"),
    ):
        async with asyncio.timeout(60):
            while not _share(await _deciders_of(place, 20)):
                pass  # they have not told each other yet that they are there
        deciders = await _deciders_of(place, 200)
        assert {"one"} in deciders
        assert {"two"} in deciders
        assert len([names for names in deciders if len(names) == 1]) >= 190


def _share(deciders: list[set[str]]) -> bool:
    return {"one"} in deciders and {"two"} in deciders and {"one", "two"} not in deciders


async def _deciders_of(place: Town, count: int) -> list[set[str]]:
    """Who decided each of so many more orders."""
    known = {row.saga_id for row in await place.store.saga_rows(saga="order", limit=10_000)}
    await place.place(count)
    await place.check()
    rows = await place.store.saga_rows(saga="order", limit=10_000)
    histories = [await place.store.history(row.saga_id) for row in rows if row.saga_id not in known]
    return [{each.event.by for each in history if each.event.type in DECIDED} for history in histories]
