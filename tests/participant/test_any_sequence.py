"""Any sequence of commands, attempts and duplicates: the invariants of effects and answers hold."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.domain import wire
from amends.infrastructure.ports import Incoming
from amends.infrastructure.postgres.attentive import AttentiveConnection
from tests.conftest import DatabaseFrom
from tests.participant.service import NAMESPACE, close, compensate, forward, migrate, payments, reply

PAST = datetime(2020, 1, 1, tzinfo=UTC)
KEYS = ("k1", "k2")
HOWS = ("well", "well", "reject", "fail", "break", "at length")

attempts = st.integers(1, 4).map(str)
forwards = st.builds(
    lambda key, how, attempt, expired: forward(
        key, how, command_id=f"{key}/f/{attempt}", expires=PAST if expired else None
    ),
    st.sampled_from(KEYS),
    st.sampled_from(HOWS),
    attempts,
    st.integers(0, 4).map(lambda n: n == 0),
)
compensations = st.builds(
    lambda key, round_, how, attempt: compensate(
        key, f"{key}/c{round_}", how, command_id=f"{key}/c{round_}/{attempt}"
    ),
    st.sampled_from(KEYS),
    st.integers(1, 2),
    st.sampled_from(HOWS[:5]),
    attempts,
)
closings = st.builds(
    lambda key, attempt: close(key, f"{key}/x", command_id=f"{key}/x/{attempt}"),
    st.sampled_from(KEYS),
    attempts,
)
batches = st.lists(st.lists(forwards | compensations | closings, min_size=1, max_size=6), max_size=6)


class World:
    """What can be seen from outside: effects in the service's table, and answers."""

    def __init__(self, connections: Sequence[psycopg.AsyncConnection]) -> None:
        self.connections = connections
        self.by_key: dict[str, set[str]] = defaultdict(set)
        self.by_command: dict[str, set[str]] = defaultdict(set)

    async def send(self, batch: list[Incoming], replica: int) -> None:
        sent = await payments().desk(NAMESPACE).answer(self.connections[replica], batch)
        answers = [reply(each.message) for each in sent.recorded if wire.OUTCOME in each.message.headers]
        assert len(answers) == len(batch)
        for message, answer in zip(batch, answers, strict=True):
            assert answer.message.headers[wire.CAUSATION_ID] == message.headers[wire.CE_ID]
            self.by_command[message.headers[wire.CE_ID]].add(answer.outcome)
            if answer.outcome != "failed":
                closing = message.headers[wire.DIRECTION] == "close"
                key = message.headers[wire.FORWARD_KEY if closing else wire.IDEMPOTENCY_KEY]
                self.by_key[key].add(answer.outcome)

    async def effects(self, key: str) -> tuple[int, int]:
        cursor = await self.connections[0].execute(
            "SELECT count(*) FILTER (WHERE kind = 'charge'), count(*) FILTER (WHERE kind = 'refund')"
            " FROM effects WHERE order_id = %s",
            [key],
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1]

    async def check(self) -> None:
        for key in KEYS:
            done, undone = await self.effects(key)
            assert undone <= done <= 1, f"invariant 1: {key}: {done} effects, {undone} undone"
            assert (done == 1) == (self.by_key[key] == {"succeeded"}), f"{key}: {done}, {self.by_key[key]}"
        for key, outcomes in self.by_key.items():
            assert len(outcomes) <= 1, f"invariant 2: {key} was answered {outcomes}"
        for command, outcomes in self.by_command.items():
            assert len(outcomes) == 1, f"{command} was answered {outcomes}"


async def clean(connection: psycopg.AsyncConnection) -> None:
    for table in ("effects", "amends_participant.keys", "amends_participant.remembered"):
        await connection.execute(f"DELETE FROM {table}".encode())


@pytest.mark.parametrize("replicas", [1, 2])
async def test_invariants_hold_for_any_sequence(database_from: DatabaseFrom, replicas: int) -> None:
    url = await database_from("payments_service", migrate)
    connections = [await AttentiveConnection.connect(url, autocommit=True) for _ in range(replicas)]

    async def play(sequence: list[list[Incoming]]) -> None:
        await clean(connections[0])
        world = World(connections)
        for together in zip(*[iter(sequence)] * replicas, strict=False):
            await asyncio.gather(*(world.send(batch, place) for place, batch in enumerate(together)))
            await world.check()

    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(batches)
    def explore(sequence: list[list[Incoming]]) -> None:
        asyncio.run_coroutine_threadsafe(play(sequence), loop).result()

    try:
        await asyncio.to_thread(explore)
    finally:
        for connection in connections:
            await connection.close()
