"""A saga that is stuck, for each reason of the closed list: since when, and a command that helps when it is run."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import dict_row

from amends import Client, Limit, Settings, Worker
from amends.infrastructure.embedded import Servers
from amends.projections.installing import prepare
from amends.projections.runner import Runner
from amends.projections.sagas.standing import REASONS
from tests.projections.troubles import (
    TROUBLES,
    Approval,
    ApprovalAsked,
    Asked,
    Hearsay,
    Rumour,
    Trouble,
    mechanic,
)

ROOT: Final = Path(__file__).parents[2]
MODULE: Final = "tests.projections.troubles"
WITHIN: Final = 60

Row = dict[str, Any]


class Garage:
    """Worker, service and views; and what an operator sees and does."""

    def __init__(self, settings: Settings, url: str, connection: psycopg.AsyncConnection[Row]) -> None:
        self.settings = settings
        self.url = url
        self.connection = connection
        self.began = datetime.max.replace(tzinfo=UTC)

    async def start(self, trouble: str, key: str = "t-1") -> None:
        TROUBLES.add(key)
        await self.begin()
        async with Client(self.settings) as client:
            if trouble == "waiting for a person or event":
                await client.start(Approval, ApprovalAsked(key=key, trouble=trouble))
            else:
                await client.start(Trouble, Asked(key=key, trouble=trouble))

    async def begin(self) -> None:
        """Remember the time: whatever stands still does so since later."""
        [clock] = await self.query("SELECT clock_timestamp() AS now")
        self.began = clock["now"]

    async def query(self, query: str) -> list[Row]:
        filled = query.format(ns=self.settings.namespace)
        cursor = await self.connection.execute(filled.encode())
        return await cursor.fetchall() if cursor.description is not None else []

    async def stuck(self) -> Row | None:
        rows = await self.query("SELECT *, clock_timestamp() AS now FROM {ns}_views.stuck")
        return rows[0] if rows else None

    async def status(self) -> str:
        rows = await self.query("SELECT status FROM {ns}.sagas")
        return str(rows[0]["status"]) if rows else ""

    async def until(self, condition: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(WITHIN):
            while not await condition():  # noqa: ASYNC110 - the views change by themselves as time passes
                await asyncio.sleep(0.05)

    async def until_stuck(self, reason: str, step: str = "") -> Row:
        found: list[Row] = []

        async def shows() -> bool:
            row = await self.stuck()
            found[:] = [row] if row and row["reason"] == reason and step in ("", row["step"]) else []
            return bool(found)

        try:
            await self.until(shows)
        except TimeoutError:
            raise AssertionError(f"expected {reason!r}, got {await self.stuck()}") from None
        return found[0]

    @asynccontextmanager
    async def helping(self, row: Row) -> AsyncIterator[None]:
        """Run the command that would help; one that stays runs beside the body."""
        words = shlex.split(row["help"].replace("MODULE", MODULE), comments=True)
        assert words[0] == "amends"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "amends", *words[1:], cwd=ROOT, env=self._environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            if words[1] not in ("worker", "projections"):
                said, _ = await process.communicate()
                assert process.returncode == 0, said.decode()
            yield
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.communicate()

    def _environment(self) -> dict[str, str]:
        ours = {"AMENDS_DATA_DIR": str(self.settings.data_dir), "AMENDS_NAMESPACE": self.settings.namespace}
        return {**os.environ, **ours, "PYTHONPATH": str(ROOT), "AMENDS_OPERATOR": "anna"}


@pytest.fixture
async def garage(servers: Servers, namespace: str) -> AsyncIterator[Garage]:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    TROUBLES.clear()
    connecting = psycopg.AsyncConnection.connect(servers.database_url, autocommit=True, row_factory=dict_row)
    await prepare(servers.database_url, namespace)
    async with mechanic.running(settings), await connecting as connection:
        yield Garage(settings, servers.database_url, connection)


def worker(garage: Garage) -> Worker:
    return Worker([Trouble, Approval], garage.settings, deliver="all")


def views(garage: Garage) -> Runner:
    return Runner(garage.url, garage.settings.namespace)


async def ends(garage: Garage, row: Row, status: str) -> None:
    """The command that is shown brings the saga to this end."""
    assert garage.began <= row["since"] <= row["now"]
    async with garage.helping(row):
        await garage.until(lambda: _is(garage, status))

    async def gone() -> bool:
        return await garage.stuck() is None

    await garage.until(gone)


async def _is(garage: Garage, status: str) -> bool:
    return await garage.status() == status


@pytest.mark.parametrize(
    ("reason", "step", "end"),
    [
        ("retrying", "fetch", "completed"),
        ("parked step", "report", "completed"),
        ("parked compensation", "fetch", "compensated"),
        ("waiting for a person or event", "approved", "completed"),
    ],
)
@pytest.mark.semantics("compensation-retries")
async def test_a_saga_that_needs_a_hand(reason: str, step: str, end: str, garage: Garage) -> None:
    async with worker(garage), views(garage).running():
        await garage.start(reason)
        row = await garage.until_stuck(reason, step)
        await ends(garage, row, end)


async def test_awaiting_a_reply(garage: Garage) -> None:
    async with worker(garage), views(garage).running():
        await garage.start("awaiting a reply")
        row = await garage.until_stuck("awaiting a reply", "lose")
        assert garage.began <= row["since"] <= row["now"]
        async with garage.helping(row):

            async def asked_again() -> bool:
                again = await garage.stuck()
                return again is not None and again["since"] > row["since"]

            await garage.until(asked_again)


@pytest.mark.semantics("choreography-flag")
async def test_a_silent_link_of_a_choreography_is_a_parked_step(garage: Garage) -> None:
    async with Worker([Hearsay], garage.settings, deliver="all"), views(garage).running():
        await garage.begin()
        async with Client(garage.settings) as client:
            await client.start(Hearsay, Rumour(key="r-1"))
        row = await garage.until_stuck("parked step", "confirm")
        assert "between its transaction and its event" in row["detail"]
        await ends(garage, row, "completed")


async def test_suspended(garage: Garage) -> None:
    async with worker(garage), views(garage).running(), Client(garage.settings) as client:
        await garage.start("suspended")
        row = await garage.until_stuck("retrying")
        await client.suspend(row["saga_id"], reason="an outage", by="anna")
        since = row["now"]
        row = await garage.until_stuck("suspended")
        assert (row["detail"], since <= row["since"] <= row["now"]) == ("an outage", True)
        async with garage.helping(row):
            await garage.until_stuck("retrying")


async def test_quarantined(garage: Garage) -> None:
    async with worker(garage), views(garage).running():
        await garage.start("quarantined")
        row = await garage.until_stuck("quarantined")
        assert "a bug in the definition" in row["detail"]
        TROUBLES.clear()
        await ends(garage, row, "completed")


@pytest.mark.semantics("deadline")
async def test_deadline_passed(garage: Garage) -> None:
    async with worker(garage), views(garage).running(), Client(garage.settings) as client:
        await garage.start("deadline passed")
        row = await garage.until_stuck("retrying")
        await client.reschedule(row["saga_id"], due=row["now"], reason="hurry", by="anna")
        row = await garage.until_stuck("deadline passed")
        await ends(garage, row, "completed")


@pytest.mark.semantics("not-held-is-stuck")
async def test_no_worker_for_its_version(garage: Garage) -> None:
    async with views(garage).running():
        async with worker(garage):
            await garage.start("waiting for a person or event")
            await garage.until_stuck("waiting for a person or event")
        row = await garage.until_stuck("no worker for its version")
        assert garage.began <= row["since"] <= row["now"]
        async with garage.helping(row):
            await garage.until_stuck("waiting for a person or event")


@pytest.mark.semantics("not-held-is-stuck")
async def test_no_worker_that_can_read_what_a_newer_program_wrote(garage: Garage) -> None:
    async with views(garage).running(), worker(garage):
        await garage.start("waiting for a person or event")
        await garage.until_stuck("waiting for a person or event")
        await garage.query("UPDATE {ns}.sagas SET unreadable = ARRAY['saga.unheard-of:1']")
        row = await garage.until_stuck("no worker for its version")
        assert row["detail"] == "its history has saga.unheard-of:1, which only a newer program can read"
        await garage.query(
            "INSERT INTO {ns}.workers VALUES ('newer', 'approval', 1, DEFAULT, ARRAY['saga.unheard-of:1'])"
        )
        await garage.until_stuck("waiting for a person or event")


async def test_broker_gap(garage: Garage) -> None:
    async with views(garage).running():
        async with worker(garage):
            await garage.start("waiting for a person or event")
            row = await garage.until_stuck("waiting for a person or event")
        await garage.query(
            "INSERT INTO {ns}.outbox (message_id, deduplication_id, saga_id, subject, headers, body, created_at)"
            f" VALUES ('m', 'm', '{row['saga_id']}', '{{ns}}.cmd.nobody.hears', '{{{{}}}}', '',"
            " statement_timestamp() - interval '1 minute')"
        )
        await garage.query("INSERT INTO {ns}.workers VALUES ('frozen', 'approval', 1)")
        row = await garage.until_stuck("broker gap")
        assert row["now"] - row["since"] >= timedelta(minutes=1)
        async with garage.helping(row):
            await garage.until_stuck("waiting for a person or event")


async def test_projection_behind(garage: Garage) -> None:
    await views(garage).catch_up()
    async with worker(garage):
        await garage.start("projection behind")
        await garage.until(lambda: _is(garage, "running"))
        await garage.query("UPDATE {ns}.events SET recorded_at = recorded_at - interval '1 minute'")
        row = await garage.until_stuck("projection behind")
        assert row["now"] - row["since"] >= timedelta(minutes=1)
        async with garage.helping(row):
            await garage.until_stuck("retrying")


async def test_limits(garage: Garage) -> None:
    one_at_once = [Limit("nobody", outstanding=1)]
    limited = Worker([Trouble, Approval], garage.settings, deliver="all", limits=one_at_once)
    async with limited, views(garage).running(), Client(garage.settings) as client:
        await garage.start("awaiting a reply", "first")
        first = await garage.until_stuck("awaiting a reply", "lose")
        await garage.start("awaiting a reply", "second")

        async def shows(reason: str) -> list[Row]:
            query = "SELECT * FROM {ns}_views.stuck WHERE key = 'second' AND reason = '" + reason + "'"
            return await garage.query(query)

        await garage.until(lambda: shows("limits"))
        [row] = await shows("limits")
        assert (row["step"], row["help"]) == ("lose", "amends limits")
        assert first["since"] < row["since"]
        async with garage.helping(row):
            pass  # it tells that the first holds it
        await client.skip(first["saga_id"], "lose", reason="nobody is there", by="anna")
        await garage.until(lambda: shows("awaiting a reply"))


def test_the_list_is_closed() -> None:
    text = (ROOT / "amends/projections/sagas/sql/views.sql").read_text()
    python = (ROOT / "amends/projections/sagas/standing.py").read_text()
    assert all(f"'{reason}'" in text or f'"{reason}"' in python for reason in REASONS)
    assert len(REASONS) == 12
