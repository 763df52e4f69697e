"""Several runners, new projections, old stores, readers that wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final
from uuid import uuid4

import psycopg
import pytest

from amends.projections.catalogue import PROJECTIONS
from amends.projections.projection import Change, Logged, States
from amends.projections.reading import NotShown, wait_until_shown
from amends.projections.runner import Runner
from amends.projections.sagas import Sagas
from amends.projections.session import Progress
from amends.projections.status import statuses
from tests.projections.conftest import NAMESPACE, Place
from tests.projections.histories import completed, sagas, write

ALL: Final = [each.name for each in PROJECTIONS]


async def until(condition: Callable[[], object], place: Place) -> None:
    """Returns when the condition holds; looked at whenever the views show more."""
    async with (
        asyncio.timeout(20),
        await psycopg.AsyncConnection.connect(place.url, autocommit=True) as connection,
    ):
        await connection.execute('LISTEN "test.views"')
        while not await condition():  # type: ignore[misc]
            async for _ in connection.notifies(timeout=0.2, stop_after=1):
                pass


async def caught_up(place: Place) -> bool:
    rows = await place.query("SELECT behind FROM test_views.projections WHERE state = 'live'")
    return len(rows) == len(PROJECTIONS) and not any(row["behind"] for row in rows)


class Wider(Sagas):
    """The next version of a projection."""

    version: ClassVar[int] = 2


class Broken(Sagas):
    """A projection with a bug."""

    def fold(self, states: States, events: Sequence[Logged]) -> Sequence[Change]:
        raise ZeroDivisionError("a bug")


class Refusing(Sagas):
    """A projection whose rows the database does not take."""

    def fold(self, states: States, events: Sequence[Logged]) -> Sequence[Change]:
        [change] = super().fold(states, events)
        return [change._replace(columns={**change.columns, "started": ["once"] * len(change.columns["ids"])})]


async def test_events_are_taken_in_as_they_are_committed(place: Place) -> None:
    async with Runner(place.url, NAMESPACE).running():
        scribe = completed("o1")
        await place.record(scribe.id, *scribe.events)
        await wait_until_shown(place.url, NAMESPACE, scribe.id, len(scribe.events))
        [row] = await place.query("SELECT status FROM test_views.sagas")
    assert row["status"] == "completed"


async def test_a_reader_waits_for_its_own_action(place: Place) -> None:
    first, second = completed("o1"), completed("o2")
    await place.record(first.id, *first.events)
    waiting = asyncio.create_task(
        wait_until_shown(place.url, NAMESPACE, first.id, 6, timeout=timedelta(seconds=20))
    )
    with pytest.raises(NotShown, match="version 6 of saga"):
        await wait_until_shown(place.url, NAMESPACE, first.id, 6, timeout=timedelta(seconds=0.2))
    await place.record(second.id, *second.events)
    assert not waiting.done()
    await Runner(place.url, NAMESPACE).catch_up()
    await waiting


@asynccontextmanager
async def another_process(place: Place) -> AsyncIterator[asyncio.subprocess.Process]:
    """A runner in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projections.doomed", place.url, "never", "1", "follow",
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_one_of_several_runners_feeds_each_copy_and_another_takes_over_when_it_dies(
    place: Place,
) -> None:
    fed: list[str] = []
    await write(place, sagas(8))
    async with another_process(place) as first:
        await until(lambda: caught_up(place), place)
        async with Runner(place.url, NAMESPACE, probe=fed.append).running():
            await write(place, sagas(12)[8:])
            await until(lambda: caught_up(place), place)
            assert "folded" not in fed, "the first feeds them all"
            first.kill()
            await first.wait()
            await write(place, sagas(16)[12:])
            await until(lambda: caught_up(place), place)
            assert "folded" in fed
    shown = await place.tables()
    await Runner(place.url, NAMESPACE).rebuild(ALL)
    assert await place.tables() == shown


async def test_a_runner_whose_connection_breaks_begins_again(place: Place) -> None:
    async with Runner(place.url, NAMESPACE).running():
        await write(place, sagas(4))
        await until(lambda: caught_up(place), place)
        await place.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'amends projections%%' AND datname = current_database()"
        )
        await write(place, sagas(8)[4:])
        await until(lambda: caught_up(place), place)


async def test_several_rebuilds_at_once_build_one_copy(place: Place) -> None:
    await write(place, sagas(16))
    await Runner(place.url, NAMESPACE).catch_up()
    before = await place.tables()
    async with asyncio.timeout(20):
        await asyncio.gather(*(Runner(place.url, NAMESPACE, batch_size=5).rebuild(ALL) for _ in range(3)))
    assert await place.tables() == before
    assert {row["copy"] for row in await place.query("SELECT copy FROM test.projections")} == {2}


async def test_a_rebuild_waits_for_whoever_feeds_the_copy_and_goes_on_when_that_dies(place: Place) -> None:
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE).catch_up()
    told: list[Progress] = []
    async with await psycopg.AsyncConnection.connect(place.url, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(hashtextextended('amends projection test sagas 2', 0))")
        building = asyncio.create_task(Runner(place.url, NAMESPACE).rebuild(["sagas"], told.append))
        await until(lambda: _is_building(place), place)
        [built] = [each for each in await statuses(place.url, NAMESPACE) if each["copy"] == 2]
        assert built["fed"]
    async with asyncio.timeout(20):
        await building
    assert told[0].done == 0, "until then it took in nothing"


async def _is_building(place: Place) -> bool:
    return bool(await place.query("SELECT FROM test.projections WHERE state = 'building'"))


async def test_the_status_says_whether_anybody_feeds_a_copy(place: Place) -> None:
    assert {each["fed"] for each in await statuses(place.url, NAMESPACE)} == {False}
    async with Runner(place.url, NAMESPACE).running():
        await until(lambda: _all_fed(place), place)
    assert {each["fed"] for each in await statuses(place.url, NAMESPACE)} == {False}


async def _all_fed(place: Place) -> bool:
    return all(each["fed"] for each in await statuses(place.url, NAMESPACE))


async def test_a_new_projection_sees_all_history(place: Place) -> None:
    await write(place, sagas(8))
    await Runner(place.url, NAMESPACE).catch_up()
    await place.query("DROP SCHEMA test_views_statistics_1 CASCADE")
    await place.query("DELETE FROM test.projections WHERE name = 'statistics'")
    await Runner(place.url, NAMESPACE).catch_up()
    rows = await place.shown("statistics", "outcome = 'started'")
    assert [row["count"] for row in rows] == [8]


async def test_dropped_views_are_made_again(place: Place) -> None:
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE).catch_up()
    await place.query("DROP SCHEMA test_views CASCADE")
    assert len(await place.shown("sagas")) == 4
    assert len(await place.query("SELECT sentence FROM test_views.audit WHERE type = 'saga.started'")) == 4


async def test_views_whose_text_changed_are_made_anew(place: Place) -> None:
    await place.query("DROP VIEW test_views.dead_letters")
    await place.query("UPDATE test.projection_views SET digest = 'of an older text' WHERE name = 'store'")
    assert await place.shown("dead_letters") == []


async def test_a_new_version_is_built_beside_the_old_one_and_swapped_in(place: Place) -> None:
    await write(place, sagas(8))
    await Runner(place.url, NAMESPACE).catch_up()
    before = await place.tables()
    await Runner(place.url, NAMESPACE, [Wider()]).catch_up()
    [live] = await place.query("SELECT copy, version FROM test.projections WHERE name = 'sagas'")
    assert live == {"copy": 2, "version": 2}
    assert (await place.tables())["sagas.sagas"] == before["sagas.sagas"]


async def test_an_older_program_leaves_a_newer_version_alone(place: Place) -> None:
    await Runner(place.url, NAMESPACE, [Wider()]).catch_up()
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE, [Sagas()]).catch_up()
    assert (await place.positions())["sagas"] == 0


async def test_a_reader_in_a_long_query_does_not_see_a_swap(place: Place) -> None:
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE).catch_up()
    async with await psycopg.AsyncConnection.connect(place.url) as reader:
        before = await (await reader.execute("SELECT key FROM test_views.sagas ORDER BY key")).fetchall()
        building = asyncio.create_task(Runner(place.url, NAMESPACE).rebuild(["sagas"]))
        after = await (await reader.execute("SELECT key FROM test_views.sagas ORDER BY key")).fetchall()
        assert after == before
        await reader.rollback()
        async with asyncio.timeout(20):
            await building
    assert len(await place.query("SELECT FROM test_views.sagas")) == 4


async def test_a_bug_in_one_projection_does_not_stop_the_others(place: Place) -> None:
    others = [each for each in PROJECTIONS if each.name != "sagas"]
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE, [Broken(), *others]).catch_up()
    rows = await place.query("SELECT projection, behind, error FROM test_views.projections")
    shown = {row["projection"]: (row["behind"] == 0, row["error"]) for row in rows}
    assert shown == {"sagas": (False, "ZeroDivisionError: a bug"), "statistics": (True, "")}
    await Runner(place.url, NAMESPACE).catch_up()
    rows = await place.query("SELECT behind, error FROM test_views.projections")
    assert {(row["behind"], row["error"]) for row in rows} == {(0, "")}


async def test_rows_that_the_database_refuses_do_not_stop_the_others(place: Place) -> None:
    others = [each for each in PROJECTIONS if each.name != "sagas"]
    await write(place, sagas(4))
    await Runner(place.url, NAMESPACE, [Refusing(), *others]).catch_up()
    rows = await place.query("SELECT projection, behind, error FROM test_views.projections")
    shown = {row["projection"]: (row["behind"] == 0, row["error"]) for row in rows}
    assert 'invalid input syntax for type timestamp with time zone: "once"' in shown["sagas"][1]
    assert shown["statistics"] == (True, "")


async def test_an_event_of_a_newer_program_is_waited_for_and_told(place: Place) -> None:
    scribe = completed("o1")
    await place.record(scribe.id, *scribe.events)
    await place.query(
        "INSERT INTO test.events (originator_id, originator_version, topic, state)"
        " VALUES (%s, 1, 'saga.unheard-of:1', '{}')",
        uuid4(),
    )
    rows = await place.shown("projections")
    assert {row["behind"] for row in rows} == {1}
    assert all("upgrade this program" in row["error"] for row in rows)
    assert len(await place.query("SELECT FROM test_views.sagas")) == 1
