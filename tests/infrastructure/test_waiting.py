"""A wait that others can end."""

from __future__ import annotations

import asyncio

import pytest

from amends.infrastructure.waiting import Waiting


async def test_what_comes_is_returned_and_the_wait_can_be_used_again() -> None:
    waiting = Waiting()
    waiting.end()  # nobody waits
    for number in range(2):
        assert await waiting.until(asyncio.sleep(0, number), None) == number


async def test_a_wait_that_is_ended_cancels_the_work_and_no_more() -> None:
    waiting, cancelled = Waiting(), asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "never"

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        waits = group.create_task(waiting.until(work(), "ended"))
        await asyncio.sleep(0)
        waiting.end()
        waiting.end()
    assert waits.result() == "ended"
    assert cancelled.is_set()
    assert await waiting.until(asyncio.sleep(0, "next"), "ended") == "next"


async def test_a_wait_that_is_cancelled_is_no_wait_that_was_ended() -> None:
    waits = asyncio.create_task(Waiting().until(asyncio.Event().wait(), otherwise=False))
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_a_timeout_of_the_work_is_its_own() -> None:
    async def work() -> str:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await Waiting().until(work(), "ended")
