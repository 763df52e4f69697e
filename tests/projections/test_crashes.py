"""A runner may be killed at any line: the views equal a fresh rebuild, row by row."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from amends.projections.catalogue import PROJECTIONS
from amends.projections.runner import Runner
from tests.projections.conftest import NAMESPACE, Place
from tests.projections.histories import sagas, write

ALL: Final = [each.name for each in PROJECTIONS]


async def killed(place: Place, label: str, count: int, what: str) -> None:
    """A runner in a process of its own, until it has killed itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projections.doomed", place.url, label, str(count), what,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


async def rebuilt(place: Place) -> dict[str, Any]:
    """The rows of copies that are made at once of all that there is."""
    await Runner(place.url, NAMESPACE).rebuild(ALL)
    return await place.tables()


@pytest.mark.parametrize("label", ["read", "folded", "committed"])
async def test_killed_at(label: str, place: Place) -> None:
    scribes = sagas(24)
    await write(place, scribes[:12])
    await killed(place, label, 3, "follow")
    behind = await place.positions()
    await write(place, scribes[12:])
    await Runner(place.url, NAMESPACE).catch_up()
    assert all(after > behind[name] for name, after in (await place.positions()).items())
    shown = await place.tables()
    assert shown == await rebuilt(place)


@pytest.mark.parametrize(
    ("label", "count"),
    [("read", 3), ("folded", 3), ("committed", 3), ("swapping", 1), ("swapped", 1), ("swapped", 2)],
)
async def test_a_rebuild_killed_and_resumed(label: str, count: int, place: Place) -> None:
    await write(place, sagas(24))
    await Runner(place.url, NAMESPACE).catch_up()
    live = await place.tables()
    await killed(place, label, count, "rebuild")
    assert await place.tables() == live, "what readers see is whole all the time"
    begun = await place.query("SELECT name, position FROM test.projections WHERE state = 'building'")
    assert all(each["position"] > 0 for each in begun) or label == "read"
    heard: list[int] = []
    await Runner(place.url, NAMESPACE, batch_size=20).rebuild(
        ALL, lambda progress: heard.append(progress.done)
    )
    if begun and label == "committed":
        assert heard[0] >= 40, "it goes on where the killed one was"
    assert await place.tables() == live
    left = await place.query("SELECT DISTINCT state FROM test.projections")
    assert {each["state"] for each in left} <= {"live", "retired"}


async def test_a_rebuild_that_nobody_resumes_is_finished_by_the_next_runner(place: Place) -> None:
    await write(place, sagas(24))
    await Runner(place.url, NAMESPACE).catch_up()
    live = await place.tables()
    await killed(place, "committed", 2, "rebuild")
    await Runner(place.url, NAMESPACE).catch_up()
    assert await place.tables() == live
    copies = await place.query("SELECT name, copy FROM test.projections WHERE state = 'live'")
    assert {each["copy"] for each in copies} == {2}
