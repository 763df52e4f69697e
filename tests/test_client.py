"""`Client`: waiting for a saga's end, and cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from amends import (
    ActionRefused,
    Client,
    Command,
    Event,
    NotFinished,
    NotStarted,
    Participant,
    Saga,
    Settings,
    Tx,
    Worker,
    step,
)
from amends.client import Run
from amends.infrastructure.broker import MessageTooLarge
from amends.infrastructure.embedded import Servers

SOON = timedelta(seconds=30)
AT_ONCE = timedelta(milliseconds=50)


class Asked(Event, subject="gate.asked"):
    key: str
    note: str = ""


class Open(Command, subject="gate.open"):
    """Answered when the test says so."""


class Shut(Command, subject="gate.shut"): ...


class Cross(Command, subject="gate.cross"):
    """Answered when the test says so."""


class Wave(Command, subject="gate.wave"):
    """Answered when the test says so."""


KINDS: tuple[type[Command], ...] = (Open, Cross, Wave)


class Passage(Saga[Asked], name="passage", version=1, key="key"):
    @step
    def unlock(self) -> Open:
        return Open()

    @unlock.compensate
    def lock(self) -> Shut:
        return Shut()

    @step(pivot=True)
    def cross(self) -> Cross:
        return Cross()

    @step
    def wave(self) -> Wave:
        return Wave()


class Gate:
    """A client beside a worker and a service, whose answers wait until they are let go."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.asked: dict[type[Command], asyncio.Event] = {kind: asyncio.Event() for kind in KINDS}
        self.answers: dict[type[Command], asyncio.Event] = {kind: asyncio.Event() for kind in KINDS}

    async def answer(self, kind: type[Command]) -> None:
        self.asked[kind].set()
        await self.answers[kind].wait()

    async def begun(self, key: str) -> Run:
        """A saga whose first step is out."""
        run = await self.client.start(Passage, Asked(key=key))
        await self.asked[Open].wait()
        return run

    async def cancel(self, run: Run) -> None:
        await self.client.cancel(run.id, by="anna", reason="no longer wanted")

    def service(self) -> Participant[None]:
        gate: Participant[None] = Participant("gate")

        @gate.handles(Open)
        async def open_(command: Open, tx: Tx) -> None:
            await self.answer(Open)

        @gate.handles(Shut, undoes=Open)
        async def shut(command: Shut, tx: Tx) -> None: ...

        @gate.handles(Cross)
        async def cross(command: Cross, tx: Tx) -> None:
            await self.answer(Cross)

        @gate.handles(Wave)
        async def wave(command: Wave, tx: Tx) -> None:
            await self.answer(Wave)

        return gate


@asynccontextmanager
async def opened(servers: Servers, namespace: str) -> AsyncIterator[Gate]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with Client(settings) as client:
        gate = Gate(client, settings)
        async with Worker([Passage], settings), gate.service().running(settings):
            try:
                yield gate
            finally:
                for answer in gate.answers.values():
                    answer.set()


async def test_a_wait_that_is_over_too_soon_says_what_to_do_and_the_saga_goes_on(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        run = await gate.begun("k-1")
        with pytest.raises(NotFinished, match=f"amends show {run.id}") as refused:
            await run.result(timeout=AT_ONCE)
        assert "within 0:00:00.05" in str(refused.value)
        await gate.cancel(run)
        gate.answers[Open].set()
        assert await run.result(timeout=SOON) == "compensated"


async def test_a_saga_that_nobody_runs_is_waited_for_in_vain(servers: Servers, namespace: str) -> None:
    async with Client(Settings(data_dir=servers.folder.home, namespace=namespace)) as client:
        run = await client.start(Passage, Asked(key="k-1"))
        with pytest.raises(NotFinished):
            await run.result(timeout=AT_ONCE)


async def test_a_start_for_a_key_that_is_taken_ends_the_wait_with_the_reason(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        first = await gate.begun("k-1")
        second = await gate.client.start(Passage, Asked(key="k-1", note="another"))
        assert second.id == first.id
        await gate.cancel(first)
        gate.answers[Open].set()
        assert await first.result(timeout=SOON) == "compensated"
        with pytest.raises(NotStarted, match="expected a new key; passage 'k-1' was started by"):
            await second.result(timeout=SOON)


async def test_several_may_wait_for_one_saga_and_each_hears_of_its_end(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate, Client(gate.settings) as other:
        run = await gate.begun("k-1")
        same = await other.start(Passage, Asked(key="k-1"))
        waits = [asyncio.create_task(each.result(timeout=SOON)) for each in (run, run, same)]
        with pytest.raises(NotFinished):  # one that gives up leaves the others waiting
            await run.result(timeout=AT_ONCE)
        await gate.cancel(run)
        gate.answers[Open].set()
        assert await asyncio.gather(*waits) == ["compensated"] * 3
        assert await same.result(timeout=SOON) == "compensated"


async def test_a_saga_is_cancelled_before_its_pivot_and_what_it_did_is_undone(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        run = await gate.begun("k-1")
        await gate.cancel(run)
        gate.answers[Open].set()
        assert await run.result(timeout=SOON) == "compensated"
        with pytest.raises(ActionRefused, match="is compensated"):
            await gate.cancel(run)
        assert not gate.asked[Cross].is_set()


async def test_a_cancel_while_the_pivot_is_out_closes_it_and_its_answer_decides(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        gate.answers[Open].set()
        run = await gate.begun("k-1")
        await gate.asked[Cross].wait()
        await gate.cancel(run)
        with pytest.raises(ActionRefused, match="is being cancelled already"):
            await gate.cancel(run)
        gate.answers[Cross].set()  # it happens, so that there is no way back
        gate.answers[Wave].set()
        assert await run.result(timeout=SOON) == "completed"


async def test_a_cancel_after_the_pivot_is_refused_and_the_saga_goes_on(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        gate.answers[Open].set()
        gate.answers[Cross].set()
        run = await gate.begun("k-1")
        await gate.asked[Wave].wait()
        with pytest.raises(ActionRefused, match="its pivot 'cross' is done, so it only goes forward"):
            await gate.cancel(run)
        gate.answers[Wave].set()
        assert await run.result(timeout=SOON) == "completed"


async def test_what_never_started_cannot_be_cancelled(servers: Servers, namespace: str) -> None:
    async with Client(Settings(data_dir=servers.folder.home, namespace=namespace)) as client:
        with pytest.raises(ActionRefused, match="none has started under this id"):
            await client.cancel(uuid4(), by="anna", reason="a mistake")


async def test_many_are_started_together_and_a_repeat_is_the_same_start(
    servers: Servers, namespace: str
) -> None:
    async with opened(servers, namespace) as gate:
        for answer in gate.answers.values():
            answer.set()
        runs = await gate.client.start_many(Passage, [Asked(key=f"k-{number}") for number in range(5)])
        [again, other] = await gate.client.start_many(Passage, [Asked(key="k-3"), Asked(key="k-5")])
        assert again.id == runs[3].id
        assert len({run.id for run in (*runs, other)}) == 6
        outcomes = [await run.result(timeout=SOON) for run in (*runs, other)]
        assert outcomes == ["completed"] * 6


async def test_a_start_among_many_that_cannot_be_sent_is_named_and_none_is_started(
    servers: Servers, namespace: str
) -> None:
    async with Client(Settings(data_dir=servers.folder.home, namespace=namespace)) as client:
        events = [Asked(key="k-1"), Asked(key="k-2", note="x" * 2_000_000)]
        with pytest.raises(MessageTooLarge, match="max_payload"):
            await client.start_many(Passage, events)
