"""A participant's own statements on PostgreSQL, from the commands received to their acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.link import Link
from amends.infrastructure.postgres.outbox import Outbox
from amends.infrastructure.postgres.relay import Relay
from amends.participant.batches import Batches, Loop
from tests.participant.service import NAMESPACE, Service, compensate, forward

HANDLERS = ("amends_handler", "effects")
"""What the statements of a handler hold: its savepoint, and what it does itself."""


class Broker:
    """Keeps what is published; has nothing else to tell."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.published += messages

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Nothing to do."""

    async def receive(self, limit: int, timeout: float | None) -> Sequence[Incoming]:
        raise AssertionError("the test hands the batches over")

    def pause(self, durable: str) -> None:
        raise AssertionError("a participant has no limits")

    resume = pause

    async def handled_until(self) -> None:
        raise AssertionError("a participant has no timers")


async def test_the_number_of_own_statements_does_not_grow_with_the_batch(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[str] = []
    execute: Any = psycopg.AsyncCursor.execute

    async def counting(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        executed.append(query.decode() if isinstance(query, bytes) else str(query))
        return await execute(self, query, *arguments, **options)

    async def counts(loop: Loop, broker: Broker, size: int) -> list[int]:
        keys = [f"{size}-{number}" for number in range(size)]
        batches = [
            [forward(key) for key in keys],
            [compensate(key, key=f"c-{key}") for key in keys],
            [forward(key) for key in keys],
        ]
        found: list[int] = []
        for batch in batches:
            executed.clear()
            broker.published.clear()
            await loop.step(batch)
            found.append(sum(not any(word in each for word in HANDLERS) for each in executed))
            assert len(broker.published) == size
        return found

    async with Link(service.url, name="work") as work, Link(service.url, name="notes") as notes:
        broker = Broker()
        relay = Relay(notes, Outbox(service.participant.schema), broker)
        desk = service.participant.desk(NAMESPACE)
        loop = Loop(Batches(desk, work), relay, broker, 1000, lambda _: None)
        await counts(loop, broker, 1)
        monkeypatch.setattr(psycopg.AsyncCursor, "execute", counting)
        few = await counts(loop, broker, 5)
        assert few == await counts(loop, broker, 100)
    assert max(few) < 10


async def test_no_statement_reads_whole_tables_that_were_small_when_it_was_planned(service: Service) -> None:
    async with Link(service.url, name="work") as work, Link(service.url, name="notes") as notes:
        relay = Relay(notes, Outbox(service.participant.schema), Broker())
        loop = Loop(Batches(service.participant.desk(NAMESPACE), work), relay, Broker(), 1000, lambda _: None)

        async def handle(begin: int, end: int, size: int) -> None:
            for first in range(begin, end, size):
                keys = [f"k-{number}" for number in range(first, first + size)]
                await loop.step([forward(key) for key in keys])
                await loop.step([compensate(key, key=f"c-{key}") for key in keys])

        async def rows_read_in_passing() -> int:
            for link in (work, notes):
                await link.run(lambda connection: connection.execute("SELECT pg_stat_force_next_flush()"))
            read = await service.column(
                "SELECT seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'amends_participant' "
                "AND relname IN ('keys', 'outbox')"
            )
            return sum(read)

        await handle(0, 20, 1)
        await handle(20, 4_020, 100)
        before = await rows_read_in_passing()
        await handle(4_020, 4_420, 20)
        assert await rows_read_in_passing() == before
