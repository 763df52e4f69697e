"""What each view shows of histories that are written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from amends.domain import events as e
from amends.domain.limits import Breaker, Limit
from amends.domain.wire import Direction
from amends.infrastructure.limits import LimitedCommand, LimitedSaga
from amends.infrastructure.ports import Commit, Unclaimed
from amends.projections.catalogue import PROJECTIONS
from amends.projections.runner import Runner
from tests.infrastructure.store_data import dead, held, new
from tests.infrastructure.store_data import started as begun
from tests.projections.conftest import NAMESPACE, Place

AT: Final = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
BY: Final = {"cause": "m-1", "by": "w1"}


def started(key: str = "o1", *, deadline: datetime | None = None) -> e.SagaStarted:
    return e.SagaStarted(
        at=AT, saga="order", definition=1, namespace="test", key=key, subject="orders.placed",
        start={"note": "\u0000 ü"}, deadline=deadline, trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        **BY,
    )  # fmt: skip


def asked(step: str, after: int, **more: Any) -> e.CommandRecorded:
    facts: dict[str, Any] = {
        "payload": {}, "command_id": uuid4(), "key": uuid4(), "subject": f"service.{step}", "reply_subject": "x",
        "expires": AT + SECOND * (after + 60),
    }  # fmt: skip
    return e.CommandRecorded(at=AT + SECOND * after, step=step, **BY, **(facts | more))


def done(step: str, after: int, **more: Any) -> e.CommandSucceeded:
    return e.CommandSucceeded(at=AT + SECOND * after, step=step, **BY, **more)


async def a_saga(place: Place, *events: e.SagaEvent, key: str = "o1") -> UUID:
    saga_id = uuid4()
    await place.record(saga_id, started(key), *events)
    return saga_id


async def test_where_a_saga_stands(place: Place) -> None:
    names = ("reserve", "charge", "ship", "tell")
    await place.store.register([{"saga": "order", "version": 1, "steps": [{"name": name} for name in names]}])
    saga_id = await a_saga(place, asked("reserve", 1), done("reserve", 2), asked("charge", 3))
    [row] = await place.shown("sagas")
    assert (row["saga_id"], row["saga"], row["definition"], row["key"]) == (saga_id, "order", 1, "o1")
    assert (row["status"], row["version"], row["started"]) == ("running", 4, AT)
    assert row["done_steps"] == ["reserve"]
    assert row["current_steps"] == ["charge"]
    assert row["remaining_steps"] == ["ship", "tell"]
    assert row["waiting_since"] == AT + 3 * SECOND
    assert row["next_due"] == AT + 63 * SECOND
    [wait] = row["waits"]
    assert (wait["for"], wait["step"], wait["subject"]) == ("reply", "charge", "service.charge")
    assert row["behind"] == 0


async def test_what_is_left_to_undo(place: Place) -> None:
    refused = e.CommandRejected(at=AT + 4 * SECOND, step="charge", reason="declined", **BY)
    turned = e.CompensationStarted(at=AT + 5 * SECOND, reason="charge: declined", **BY)
    given_up = e.StepGivenUp(at=AT + 5 * SECOND, step="charge", reason="declined", **BY)
    undo = asked("b", 6, direction=Direction.COMPENSATE)
    await a_saga(
        place, asked("a", 1), done("a", 2), asked("b", 1), done("b", 2), asked("charge", 3), refused, given_up,
        turned, undo,
    )  # fmt: skip
    [row] = await place.shown("sagas")
    assert (row["status"], row["reason"]) == ("compensating", "charge: declined")
    assert (row["current_steps"], row["remaining_steps"]) == (["b"], ["a"])
    assert (row["last_error"], row["last_error_at"]) == ("charge: declined", AT + 4 * SECOND)


async def test_a_view_says_how_far_behind_it_is(place: Place) -> None:
    await a_saga(place, asked("reserve", 1))
    await place.shown("sagas")
    await a_saga(place, asked("reserve", 1), key="o2")
    rows = await place.query("SELECT key, behind FROM test_views.sagas")
    assert rows == [{"key": "o1", "behind": 2}]
    projections = await place.query("SELECT projection, behind, behind_since FROM test_views.projections")
    assert {row["projection"]: row["behind"] for row in projections} == {"sagas": 2, "statistics": 2}
    assert all(row["behind_since"] for row in projections)


async def test_the_audit_trail(place: Place) -> None:
    saga_id = await a_saga(place, asked("charge", 1))
    rows = await place.query("SELECT * FROM test_views.audit ORDER BY notification_id")
    assert [row["sentence"] for row in rows] == [
        "order o1 started, because of the event orders.placed",
        "asked service to do charge",
    ]
    assert {row["correlation_id"] for row in rows} == {saga_id}
    assert rows[0]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert rows[0]["data"]["start"] == {"note": "\N{REPLACEMENT CHARACTER} ü"}
    assert (rows[1]["saga"], rows[1]["key"], rows[1]["step"], rows[1]["at"]) == (
        "order",
        "o1",
        "charge",
        AT + SECOND,
    )
    assert rows[1]["previous_hash"]


async def test_timers(place: Place) -> None:
    saga_id = uuid4()
    wait = e.WaitStarted(at=AT, step="approve", subjects=("boss.said",), due=AT + 90 * SECOND, **BY)
    await place.record(saga_id, started(deadline=AT + 99 * SECOND), asked("charge", 1), wait)
    rows = await place.shown("timers", "true ORDER BY due")
    assert [(row["kind"], row["step"], row["due"]) for row in rows] == [
        ("attempt", "charge", AT + 61 * SECOND),
        ("wait", "approve", AT + 90 * SECOND),
        ("deadline", "", AT + 99 * SECOND),
    ]
    assert all(row["overdue"] > timedelta(0) for row in rows)


async def test_dead_letters(place: Place) -> None:
    await place.store.commit(Commit(dead=[dead("m1", "not JSON")]))
    [row] = await place.query("SELECT * FROM test_views.dead_letters")
    assert (row["message_id"], row["reason"], row["stage"]) == ("m1", "not JSON", "starts")
    assert (row["body"], row["size"]) == ('{"order_id": "o1"}', 18)


async def test_events_that_found_no_saga(place: Place) -> None:
    await place.store.commit(Commit(unclaimed=[Unclaimed("m1", "order", "orders.paid", "o1", "ignored")]))
    [row] = await place.query("SELECT * FROM test_views.unclaimed")
    assert (row["message_id"], row["saga"], row["subject"]) == ("m1", "order", "orders.paid")
    assert (row["key"], row["became"]) == ("o1", "ignored")


async def test_who_released_a_saga_that_has_no_history(place: Place) -> None:
    saga_id = uuid4()
    await place.store.commit(Commit(quarantined={saga_id: "broken"}, held=[held("m1", saga_id=saga_id)]))
    assert await place.store.release_unbegun(saga_id, "r1", "anna", "mended")
    [row] = await place.query("SELECT * FROM test_views.releases")
    assert (row["saga_id"], row["request"], row["by"], row["reason"]) == (saga_id, "r1", "anna", "mended")


async def test_limits_stand_as_the_command_tells_them(place: Place) -> None:
    limits = [
        Limit("inventory", outstanding=2, breaker=Breaker(failure_rate=0.5, outcomes=2, pause=SECOND)),
        Limit("mail", per_second=5),
    ]
    await place.store.limits.declare(limits, {}, anew=True)
    saga = begun("o1")
    commands = [
        LimitedCommand(uuid4(), "inventory", backwards=False, since=AT + SECOND * n, expires=None)
        for n in range(3)
    ]
    await place.store.commit(
        replace(new(saga), limited=[LimitedSaga(saga.id, commands, {}, suspended=False)])
    )
    await place.store.limits.release("inventory", 100)
    inventory, mail = await place.query("SELECT * FROM test_views.limits ORDER BY participant")
    [told, of_mail] = (await place.store.limits.status()).participants
    assert (inventory["outstanding"], inventory["held"]) == (told.outstanding, told.held) == (2, 1)
    assert inventory["held_since"] == told.held_since == AT + 2 * SECOND
    assert (inventory["outstanding_limit"], inventory["breaker"], inventory["in_force"]) == (
        2,
        "closed",
        True,
    )
    assert (mail["per_second_limit"], mail["breaker"], mail["held"]) == (5, None, of_mail.held)
    await place.query("UPDATE test.participant_limits SET seen_at = seen_at - interval '2 minutes'")
    rows = await place.query("SELECT in_force FROM test_views.limits")
    assert [row["in_force"] for row in rows] == [False, False]
    assert [each.limit for each in (await place.store.limits.status()).participants] == [None, None]


async def test_counts_and_durations(place: Place) -> None:
    over = e.SagaCompleted(at=AT + 9 * SECOND, **BY)
    for number in range(100):
        await a_saga(
            place, asked("charge", 0), done("charge", 1 if number < 95 else 8), over, key=f"o{number}"
        )
    rows = await place.shown("statistics", "true ORDER BY step, outcome")
    counts = {(row["step"], row["outcome"]): row["count"] for row in rows}
    assert counts == {("", "started"): 100, ("", "completed"): 100, ("charge", "succeeded"): 100}
    charge = rows[-1]
    assert charge["mean_seconds"] == (95 + 5 * 8) / 100
    assert 1 <= charge["p50_seconds"] <= 1.1
    assert 1 <= charge["p90_seconds"] <= 1.1
    assert 8 <= charge["p99_seconds"] <= 8.8
    [hour] = await place.query("SELECT * FROM test_views.statistics_by_hour WHERE outcome = 'completed'")
    assert (hour["hour"], hour["count"], hour["saga"], hour["definition"]) == (AT, 100, "order", 1)


async def test_an_unreadable_event_stops_its_saga_and_no_other(place: Place) -> None:
    broken = await a_saga(place, asked("charge", 1))
    await place.query("UPDATE test.events SET state = 'no JSON' WHERE originator_version = 2")
    await a_saga(place, asked("charge", 1), done("charge", 2), key="o2")
    rows = await place.shown("sagas", "true ORDER BY key")
    assert [row["version"] for row in rows] == [2, 3]
    assert "cannot be read" in rows[0]["last_error"]
    [stuck] = await place.query("SELECT * FROM test_views.stuck WHERE saga_id = %s", broken)
    assert stuck["reason"] == "quarantined"
    rows = await place.query(
        "SELECT data, at FROM test_views.audit WHERE saga_id = %s AND version = 2", broken
    )
    assert rows == [{"data": {"unreadable": "no JSON"}, "at": None}]


async def test_a_role_that_may_only_read(place: Place) -> None:
    await a_saga(place, asked("charge", 1))
    await place.shown("sagas")
    role = f"reader_{uuid4().hex[:8]}"
    await place.query(f"CREATE ROLE {role}")
    try:
        await place.query(f"GRANT USAGE ON SCHEMA test_views TO {role}")
        await place.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA test_views TO {role}")
        await place.query(f"SET ROLE {role}")
        views = ("sagas", "audit", "stuck", "unfinished", "statistics", "statistics_by_hour", "timers",
                 "dead_letters", "unclaimed", "releases", "limits", "projections")  # fmt: skip
        for view in views:
            await place.query(f"SELECT behind FROM test_views.{view}")
            with pytest.raises(psycopg.Error):
                await place.query(f"DELETE FROM test_views.{view}")
        for table in ("events", "sagas", "projections"):
            with pytest.raises(InsufficientPrivilege):
                await place.query(f"SELECT * FROM test.{table}")
        await place.query("RESET ROLE")
        await Runner(place.url, NAMESPACE).rebuild([each.name for each in PROJECTIONS])
        await place.query(f"SET ROLE {role}")
        for view in views:
            await place.query(f"SELECT * FROM test_views.{view}")
    finally:
        await place.query("RESET ROLE")
        await place.query(f"DROP OWNED BY {role}")
        await place.query(f"DROP ROLE {role}")
