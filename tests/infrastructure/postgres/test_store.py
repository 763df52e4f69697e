"""What the store in PostgreSQL does beyond the contract: statements, locks, lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from threading import current_thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.errors import BrokenHistory
from amends.domain.history import verify
from amends.infrastructure.encoding import encode
from amends.infrastructure.errors import DatabaseUnreachable
from amends.infrastructure.ports import Commit, CommitRefused, Outgoing
from amends.infrastructure.postgres.datastore import SagaDatastore, with_defaults
from amends.infrastructure.postgres.store import OutOfStep, PostgresStore
from tests.infrastructure.postgres.conftest import NAMESPACE, Opener, Wire
from tests.infrastructure.store_data import (
    HELD_HERE,
    HOUR,
    NOW,
    SECOND,
    batch,
    dead,
    held,
    new,
    outgoing,
    row,
    skipped,
    started,
)

Admin = psycopg.AsyncConnection
_LONG = "".join(sha256(bytes([number])).hexdigest() for number in range(200))
_LOCK = "SELECT pg_advisory_lock(hashtextextended('amends events of test', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('amends events of test', 0))"
_WAITING = """
    SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


async def value(admin: Admin, query: str) -> Any:
    row = await (await admin.execute(query.encode())).fetchone()
    return row and row[0]


async def waiting_backend(admin: Admin) -> int:
    """The backend of a commit that waits for its turn to append events."""
    async with asyncio.timeout(10):
        while (pid := await value(admin, _WAITING)) is None:
            pass
    assert isinstance(pid, int)
    return pid


def full(count: int) -> Commit:
    """A commit that touches every table."""
    sagas = [started(f"o{each}", NOW - SECOND) for each in range(count)]
    rows = batch(*((each, 0) for each in sagas))
    return Commit(
        rows.aggregates,
        rows.rows,
        [(each.id, outgoing(str(uuid4()))) for each in sagas],
        [dead(str(uuid4())) for _ in sagas],
        [held(str(uuid4())) for _ in sagas],
        {uuid4(): "error" for _ in sagas},
    )


# Statements


async def test_statements_do_not_grow_with_the_batch(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[object] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: psycopg.Cursor[Any], query: Any, *args: Any, **kwargs: Any) -> psycopg.Cursor[Any]:
        if current_thread().name.startswith("amends-store"):  # the pool's own threads greet new connections
            executed.append(query)
        return execute(cursor, query, *args, **kwargs)

    awaited = psycopg.AsyncCursor.execute

    async def counting_awaited(
        cursor: psycopg.AsyncCursor[Any], query: Any, *args: Any, **kwargs: Any
    ) -> psycopg.AsyncCursor[Any]:
        executed.append(query)
        return await awaited(cursor, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counting_awaited)

    async def count(work: Callable[[], Awaitable[object]]) -> int:
        executed.clear()
        await work()
        return len(executed)

    async def counts(size: int) -> list[int]:
        commit = full(size)
        ids = [each.id for each in commit.aggregates]
        return [
            await count(lambda: store.commit(commit)),
            await count(lambda: store.load(ids)),
            await count(lambda: store.take_due(HELD_HERE, None, size, HOUR)),
            await count(lambda: store.unpublished(size, timedelta(0))),
            await count(lambda: store.published([each.message_id for _, each in commit.outbox])),
        ]

    one = await counts(1)
    assert one == await counts(50)
    assert one == [4, 2, 2, 1, 2]
    for size in (1, 10):
        ordinary = batch(*((started(f"p{size}-{each}"), 0) for each in range(size)))
        assert await count(lambda: store.commit(ordinary)) == 1  # noqa: B023 - awaited at once


async def test_a_commit_may_be_larger_than_what_a_socket_buffers(store: PostgresStore) -> None:
    letters = [dead(str(uuid4())) for _ in range(2)]
    large = [replace(each, message=replace(each.message, body=b"x" * 1024 * 1024)) for each in letters]
    commit = replace(full(10), dead=large)
    async with asyncio.timeout(20):
        assert not await store.commit(commit)
        await store.published([str(uuid4()) for _ in range(20_000)])


# Conflicts and locks


async def test_two_stores_never_take_the_same_saga(
    store: PostgresStore, opened: Opener, store_database: str
) -> None:
    other = await opened(store_database)
    sagas = [started(f"o{each}", NOW - SECOND) for each in range(60)]
    await store.commit(new(*sagas))
    takes = [each.take_due(HELD_HERE, None, 5, HOUR) for _ in range(10) for each in (store, other)]
    taken = [saga_id for due in await asyncio.gather(*takes) for saga_id in due.saga_ids]
    while rest := (await store.take_due(HELD_HERE, None, 5, HOUR)).saga_ids:
        taken += rest
    assert sorted(taken) == sorted(each.id for each in sagas)


async def test_a_saga_that_is_being_written_is_passed_over(store: PostgresStore, admin: Admin) -> None:
    written, free = started("o1", NOW - SECOND), started("o2", NOW - SECOND)
    await store.commit(new(written, free))
    async with admin.transaction():
        await admin.execute("SELECT FROM sagas WHERE saga_id = %s FOR UPDATE", [written.id])
        async with asyncio.timeout(10):
            due = await store.take_due(HELD_HERE, None, 10, HOUR)
    assert due.saga_ids == [free.id]
    assert (await store.take_due(HELD_HERE, None, 10, HOUR)).saga_ids == [written.id]


async def test_many_writers_on_the_same_sagas_lose_and_double_nothing(
    store: PostgresStore, opened: Opener, store_database: str
) -> None:
    """Every writer appends its own step to each saga, deciding again for as long as it loses."""
    stores = [store, await opened(store_database)]
    sagas = [started(f"o{each}") for each in range(20)]
    await store.commit(new(*sagas))

    async def write(name: str, through: PostgresStore) -> None:
        todo = {each.id for each in sagas}
        while todo:
            found = (await through.load(list(todo))).aggregates
            work = [(each, each.version) for each in found.values()]
            for each, _ in work:
                each.append([skipped(name)])
            outbox = [(each.id, outgoing(f"{name} {each.id}")) for each, _ in work]
            todo = set(await through.commit(batch(*work, outbox=outbox)))

    names = [f"w{each}" for each in range(6)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            group.create_task(write(name, stores[number % 2]))
    for each in sagas:
        history = await store.history(each.id)
        verify(history)
        assert len(history) == 1 + len(names)
    assert len(await store.unpublished(1000, timedelta(0))) == len(names) * len(sagas)


async def test_commits_go_on_while_the_events_are_analysed(store: PostgresStore, admin: Admin) -> None:
    async with admin.transaction():
        await admin.execute(
            "LOCK TABLE events, sagas, outbox IN SHARE UPDATE EXCLUSIVE MODE"
        )  # as ANALYZE does
        async with asyncio.timeout(10):
            assert await store.commit(new(started())) == frozenset()


async def test_rows_and_histories_out_of_step_are_told(store: PostgresStore, admin: Admin) -> None:
    saga, other = started("o1"), started("o2")
    await store.commit(new(saga))
    await admin.execute("DELETE FROM sagas")
    twin = SagaAggregate(saga.id)
    twin.append([each.event for each in started().collect_events()])
    with pytest.raises(OutOfStep, match="restore both"):
        await store.commit(batch((twin, 0), (other, 0), outbox=[(None, outgoing())]))
    assert await store.unpublished(10, timedelta(0)) == []
    assert await store.history(other.id) == []
    assert await store.commit(new(started())) == frozenset(), "the connection is fit for more"


@pytest.mark.parametrize(
    "refused",
    [
        lambda saga: Commit(keys=[(saga.id, LearntKey("order", "payment_id", _LONG))]),
        lambda saga: replace(new(saga), rows=[replace(row(saga, 0), saga="or\0der")]),
        lambda saga: replace(new(saga), rows=[replace(row(saga, 0), version=2**63)]),
    ],
    ids=["beyond a limit", "no text", "out of range"],
)
@pytest.mark.semantics("quarantine-database")
async def test_what_can_never_be_stored_is_refused_and_nothing_is_saved(
    store: PostgresStore, refused: Callable[[SagaAggregate], Commit]
) -> None:
    good, bad = started("o1"), started("o2")
    commit, odd = new(good), refused(bad)
    with pytest.raises(CommitRefused, match="the database refuses to store it"):
        await store.commit(replace(commit, keys=odd.keys, rows=[*commit.rows, *odd.rows]))
    assert await store.saga_rows() == []
    assert await store.history(good.id) == []


async def test_a_message_that_an_older_program_recorded_is_published(
    store: PostgresStore, admin: Admin
) -> None:
    await admin.execute(
        "INSERT INTO outbox (message_id, deduplication_id, subject, headers, body) VALUES"
        """ ('c1', 'c1', 'test.a.b', '{"ce-id": "c1", "note": "ü"}', '{}')"""
    )
    [found] = await store.unpublished(10, timedelta(0))
    assert found == Outgoing("c1", "test.a.b", {"ce-id": "c1", "note": "ü"}, b"{}", "c1")
    [sent] = encode([found])
    assert "note: ü\r\n".encode() in sent.headers


@pytest.mark.semantics("hash")
async def test_a_change_by_hand_breaks_the_chain(store: PostgresStore, admin: Admin) -> None:
    saga = started()
    saga.append([skipped("a"), skipped("b")])
    await store.commit(new(saga))
    await admin.execute("UPDATE events SET state = state || ' '::bytea WHERE originator_version = 2")
    with pytest.raises(BrokenHistory):
        verify(await store.history(saga.id))


# Broken connections


@pytest.fixture(params=[1, 10], ids=["few", "many"])
def sagas(request: pytest.FixtureRequest) -> list[SagaAggregate]:
    """New sagas: few are committed on the event loop, many in a thread."""
    return [started(f"o{each}") for each in range(request.param)]


async def test_a_backend_killed_in_the_middle_of_a_commit(
    store: PostgresStore, admin: Admin, sagas: list[SagaAggregate]
) -> None:
    saga = sagas[0]
    await admin.execute(_LOCK)
    commit = asyncio.create_task(
        store.commit(batch(*((each, 0) for each in sagas), outbox=[(saga.id, outgoing())]))
    )
    killed = await waiting_backend(admin)
    await admin.execute("SELECT pg_terminate_backend(%s)", [killed])
    while await waiting_backend(admin) == killed:
        pass
    await admin.execute(_UNLOCK)
    assert await commit == frozenset()
    assert len(await store.history(saga.id)) == 1
    assert len(await store.unpublished(10, timedelta(0))) == 1


async def test_a_commit_that_is_cancelled_is_tried_again(
    store: PostgresStore, admin: Admin, sagas: list[SagaAggregate]
) -> None:
    saga = sagas[0]
    await admin.execute(_LOCK)
    commit = asyncio.create_task(store.commit(new(*sagas)))
    for _ in range(2):
        await admin.execute("SELECT pg_cancel_backend(%s)", [await waiting_backend(admin)])
    await admin.execute(_UNLOCK)
    assert await commit == frozenset()
    assert len(await store.history(saga.id)) == 1


async def test_a_server_that_takes_no_writes_is_left_for_one_that_does(
    store: PostgresStore, admin: Admin, sagas: list[SagaAggregate]
) -> None:
    """A connection made before a failover stays read-only for ever; a new one leads to the new server."""
    saga = sagas[0]
    read_only = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    database = sql.Identifier(admin.info.dbname)
    await admin.execute(read_only.format(database, sql.Literal("on")))
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    commit = asyncio.create_task(store.commit(new(*sagas)))
    done, _ = await asyncio.wait([commit], timeout=1.0)
    assert not done
    await admin.execute(read_only.format(database, sql.Literal("off")))
    async with asyncio.timeout(20):
        assert await commit == frozenset()
    assert len(await store.history(saga.id)) == 1


async def test_a_commit_whose_answer_is_lost_doubles_nothing(
    opened: Opener, wire: Wire, sagas: list[SagaAggregate]
) -> None:
    store = await opened(wire.url)
    saga = sagas[0]
    wire.cut_at = saga.id.bytes
    assert await store.commit(batch(*((each, 0) for each in sagas), outbox=[(saga.id, outgoing())])) == {
        each.id for each in sagas
    }
    assert wire.cuts == 1
    again = (await store.load([saga.id])).aggregates[saga.id]
    assert again.version == 1, "our own first commit"
    assert len(await store.unpublished(10, timedelta(0))) == 1
    again.append([skipped()])
    assert await store.commit(batch((again, 1))) == frozenset()


async def test_operations_wait_for_the_database_to_come_back(
    opened: Opener, wire: Wire, sagas: list[SagaAggregate]
) -> None:
    store = await opened(wire.url)
    saga = sagas[0]
    await wire.cut()
    commit = asyncio.create_task(store.commit(new(*sagas)))
    load = asyncio.create_task(store.load([saga.id]))
    done, _ = await asyncio.wait([commit, load], timeout=1.5)
    assert not done
    await wire.connect()
    async with asyncio.timeout(20):
        assert await commit == frozenset()
        await load
    assert len(await store.history(saga.id)) == 1


async def test_waiting_for_the_database_can_be_cancelled(
    opened: Opener, wire: Wire, sagas: list[SagaAggregate]
) -> None:
    store = await opened(wire.url)
    await wire.cut()
    commit = asyncio.create_task(store.commit(new(*sagas)))
    await asyncio.wait([commit], timeout=0.5)
    commit.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await commit
    await wire.connect()


async def test_cancelling_awaits_the_commit_in_flight(
    store: PostgresStore, admin: Admin, sagas: list[SagaAggregate]
) -> None:
    saga = sagas[0]
    await admin.execute(_LOCK)
    commit = asyncio.create_task(store.commit(new(*sagas)))
    await waiting_backend(admin)
    for _ in range(2):
        commit.cancel()
        done, _ = await asyncio.wait([commit], timeout=0.1)
        assert not done
    await admin.execute(_UNLOCK)
    with pytest.raises(asyncio.CancelledError):
        await commit
    assert len(await store.history(saga.id)) == 1


# Surroundings


async def test_no_environment_variable_of_the_library_has_a_say(
    store_database: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, setting in {
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        "POSTGRES_DBNAME": "nowhere",
        "POSTGRES_SCHEMA": "nowhere",
        "PERSISTENCE_MODULE": "nowhere",
        "COMPRESSOR_TOPIC": "zlib",
        "CIPHER_KEY": "nonsense",
        "MAPPER_TOPIC": "nowhere",
        "IS_SNAPSHOTTING_ENABLED": "y",
        "AGGREGATE_CACHE_MAXSIZE": "10",
    }.items():
        monkeypatch.setenv(name, setting)
        monkeypatch.setenv(f"SAGAS_{name}", setting)
    store = await opened(store_database)
    saga = started()
    [recorded] = saga.append([skipped()])
    await store.commit(batch((saga, 0), outbox=[(saga.id, outgoing())]))
    assert (await store.history(saga.id))[-1].stored == recorded.stored
    assert len(await store.unpublished(10, timedelta(0))) == 1


async def test_the_library_s_database_functions_are_off(store: PostgresStore, admin: Admin) -> None:
    """With them the events would be inserted without the batch: without outbox, without rows."""
    assert store.application.datastore.enable_db_functions is False
    others = "pronamespace = 'test'::regnamespace AND prorettype <> 'trigger'::regtype"
    assert await value(admin, f"SELECT count(*) FROM pg_proc WHERE {others}") == 0


async def test_options_of_the_url_survive(store_database: str, opened: Opener) -> None:
    url = f"{store_database}{'&' if '?' in store_database else '?'}application_name=mine&connect_timeout=7"
    with (await opened(url)).application.datastore.get_connection() as connection:
        assert connection.info.get_parameters()["application_name"] == "mine"
    tls = SagaDatastore(
        with_defaults("postgresql://h/d?sslmode=verify-full&sslrootcert=/ca&connect_timeout=7"), "s", 1
    )
    assert isinstance(tls.pool.conninfo, str)
    given = conninfo_to_dict(tls.pool.conninfo)
    assert (given["sslmode"], given["sslrootcert"], given["connect_timeout"]) == ("verify-full", "/ca", "7")


async def test_a_database_that_is_not_there_is_told_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("none")
    with pytest.raises(DatabaseUnreachable, match="AMENDS_DATABASE_URL"):
        async with PostgresStore.open(f"postgresql://u:secret@/d?host={folder}", NAMESPACE):
            pass


async def test_namespaces_do_not_see_each_other(database: str) -> None:
    async with PostgresStore.open(database, "one") as one, PostgresStore.open(database, "two") as two:
        saga = started()
        await one.commit(new(saga))
        assert (await two.load([saga.id])).aggregates[saga.id].version == 0
        assert await two.commit(new(started())) == frozenset()
        assert len(await one.history(saga.id)) == 1


async def test_a_commit_that_leaves_status_and_wake_up_late_touches_no_index(
    store: PostgresStore, admin: Admin
) -> None:
    """PostgreSQL then updates the row in place, and there is nothing for vacuum to find among millions of sagas."""
    saga = started(deadline=NOW + HOUR)
    await store.commit(new(saga))
    indexed = (
        "SELECT string_agg(attname, ' ') FROM pg_attribute, pg_index"
        " WHERE indrelid = 'test.sagas'::regclass AND attrelid = indrelid AND attnum > 0 AND (attnum = ANY (indkey)"
        " OR pg_get_expr(indpred, indrelid) LIKE '%' || attname || '%')"
    )
    columns = set((await value(admin, indexed)).split())
    assert columns == {"saga_id", "key", "status", "look_at", "quarantined_at"}
    saga.append([skipped()])
    later = replace(row(saga, 1), wake_up=NOW + 2 * HOUR)
    assert not await store.commit(Commit([saga], [later]))
    assert await value(admin, "SELECT wake_up - look_at FROM test.sagas") == HOUR


async def test_a_program_that_knows_no_look_at_has_its_wake_ups_noticed(
    store: PostgresStore, admin: Admin
) -> None:
    await admin.execute(
        "INSERT INTO test.sagas (saga_id, saga, definition, key, status, version, expected, wake_up)"
        " VALUES (gen_random_uuid(), 'order', 1, 'o1', 'running', 1, 0, 'tomorrow')"
    )
    for wake_up in ("yesterday", None, "yesterday"):
        await admin.execute("UPDATE test.sagas SET wake_up = %s", [wake_up])
        due = await store.take_due(HELD_HERE, None, 10, timedelta(0))
        assert len(due.saga_ids) == (wake_up is not None)
