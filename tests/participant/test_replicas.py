"""Two replicas of a participant, each on a connection of its own, keep the promises together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from amends.infrastructure.ports import Incoming
from amends.participant import Participant, Tx
from tests.participant.service import (
    NAMESPACE,
    Charge,
    Charged,
    Service,
    close,
    compensate,
    effect,
    forward,
    payments,
)


@pytest.fixture
async def other(service_database: str) -> AsyncIterator[Service]:
    async with await psycopg.AsyncConnection.connect(service_database, autocommit=True) as connection:
        yield Service(service_database, connection)


async def blocked(service: Service) -> None:
    """Returns when some connection of this database waits for another."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    async with await psycopg.AsyncConnection.connect(service.url, autocommit=True) as watcher:
        async with asyncio.timeout(20):
            while (row := await (await watcher.execute(query)).fetchone()) is None or not row[0]:
                pass


def held(reached: asyncio.Event, go_on: asyncio.Event) -> Participant:
    """A participant whose handler stops until told to go on."""
    participant = Participant("payments")

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        await effect(tx, command.order_id, "charge")
        reached.set()
        await go_on.wait()
        return Charged(order_id=command.order_id, amount=command.amount)

    return participant


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (forward, "succeeded"),
        (close, "succeeded"),
        (compensate, "succeeded"),
    ],
)
async def test_the_second_replica_waits_for_the_first_and_sees_what_it_did(
    service: Service, other: Service, second: Callable[[], Incoming], code: str
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    service.participant = held(reached, go_on)
    first = asyncio.create_task(service.code(forward()))
    await reached.wait()
    then = asyncio.create_task(other.code(second()))
    await blocked(service)
    assert not then.done()
    go_on.set()
    assert (await first, await then) == ("succeeded", code)
    assert await service.effects() == (["charge", "refund"] if second is compensate else ["charge"])


@pytest.mark.parametrize("second", [forward, close, compensate])
async def test_when_the_first_replica_dies_the_second_decides(
    service: Service, other: Service, second: Callable[[], Incoming]
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    service.participant = held(reached, go_on)
    first = asyncio.create_task(service.code(forward()))
    await reached.wait()
    then = asyncio.create_task(other.code(second()))
    await blocked(service)
    await other_kills(service)
    assert await then == ("rejected/closed" if second is close else "succeeded")
    go_on.set()
    with pytest.raises(psycopg.OperationalError):
        await first
    assert await other.effects() == (["charge"] if second is forward else [])


async def other_kills(service: Service) -> None:
    async with await psycopg.AsyncConnection.connect(service.url, autocommit=True) as killer:
        await killer.execute("SELECT pg_terminate_backend(%s)", [service.connection.info.backend_pid])


async def test_batches_of_the_same_keys_in_any_order_neither_block_each_other_for_ever_nor_double(
    service: Service, other: Service
) -> None:
    keys = [f"k{number}" for number in range(30)]

    def batch(order: list[str]) -> list[Incoming]:
        return [forward(key) for key in order]

    async def replica(each: Service, order: list[str]) -> list[str]:
        return [code for _ in range(5) for code in await each.codes(*batch(order))]

    both = await asyncio.gather(replica(service, keys), replica(other, keys[::-1]))
    assert set(both[0]) == set(both[1]) == {"succeeded"}
    assert await service.column("SELECT count(*) FROM effects GROUP BY order_id") == [1] * 30


@pytest.mark.semantics("promise-one-row")
async def test_many_replicas_racing_on_one_key_have_one_effect_and_one_answer(service_database: str) -> None:
    async def replica(number: int) -> list[str]:
        connection = await psycopg.AsyncConnection.connect(service_database, autocommit=True)
        async with connection:
            messages = [forward(), compensate(key=f"c{number}"), forward(), close()]
            turned = messages[number % 4 :] + messages[: number % 4]
            answers = await payments().desk(NAMESPACE).answer(connection, turned)
            outcomes = {
                each.message.headers["Amends-Causation-Id"]: each.message.headers["Amends-Outcome"]
                for each in answers.recorded
            }
            return [outcomes[m.headers["ce-id"]] for m in messages if m.subject.endswith("charge")]

    outcomes = await asyncio.gather(*(replica(number) for number in range(8)))
    assert len({each for one in outcomes for each in one}) == 1
    connection = await psycopg.AsyncConnection.connect(service_database, autocommit=True)
    async with connection:
        effects = await Service(service_database, connection).effects()
    assert effects in ([], ["charge", "refund"])


async def test_replicas_that_start_at_once_migrate_once(database: str) -> None:
    await asyncio.gather(*(payments().migrate(database) for _ in range(6)))
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        service = Service(database, connection)
        assert await service.column(
            "SELECT name FROM amends_participant.migrations ORDER BY package, version"
        ) == ["001_outbox.sql", "002_marks.sql", "001_keys.sql", "002_room.sql"]
