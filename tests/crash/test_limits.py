"""A worker dies between hold and release, or between a slot and its saga: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from amends import Worker
from amends.domain import events as e
from tests.crash.limited import LIMITS, FewOrders
from tests.crash.outage import Town, ready, town, worker_process


async def _checked(place: Town) -> None:
    """Books balance, histories are whole, and no command left twice."""
    await place.check()
    sent: Counter[object] = Counter()
    for row in await place.store.saga_rows(saga="order", limit=1000):
        for event in (recorded.event for recorded in await place.store.history(row.saga_id)):
            if isinstance(event, e.CommandReleased):
                sent[row.key, event.step, event.direction, event.round, event.attempt] += 1
    assert set(sent.values()) == {1}


@pytest.mark.parametrize(("label", "count"), [("released", 1), ("released", 8), ("committed", 9)])
async def test_a_limited_worker_killed_at(label: str, count: int, tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place:
        doomed = await worker_process(place, label, count, "limited")
        await ready(doomed)
        await place.place(60)
        async with asyncio.timeout(60):
            assert await doomed.wait() == -signal.SIGKILL
        async with Worker([FewOrders], place.settings, limits=LIMITS, deliver="all"):
            await _checked(place)
        status = await place.store.limits.status()
        assert [(each.busy, each.waiting) for each in status.types] == [(0, 0)]
        assert [(each.outstanding, each.held) for each in status.participants] == [(0, 0)] * len(LIMITS)


async def test_a_limited_worker_killed_beside_another(tmp_path: Path) -> None:
    async with town(tmp_path / "data") as place:
        doomed = await worker_process(place, "released", 20, "limited")
        await ready(doomed)
        async with Worker([FewOrders], place.settings, limits=LIMITS, deliver="all"):
            await place.place(200)
            async with asyncio.timeout(60):
                assert await doomed.wait() == -signal.SIGKILL
            await _checked(place)
