"""A worker's statements on PostgreSQL, from the messages received to their acknowledgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from amends import Command, Event, Saga, step
from amends.domain import wire
from amends.domain.wire import Outcome
from amends.infrastructure.clock import SystemClock
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.store import PostgresStore
from amends.process_managers.engine import Engine
from amends.process_managers.registry import Registry

NAMESPACE = "test"


class Placed(Event, subject="shop.placed"):
    key: str


class Pick(Command, subject="shop.pick"): ...


class PutBack(Command, subject="shop.put_back"): ...


class Send(Command, subject="shop.send"): ...


class Order(Saga[Placed], name="order", version=1, key="key"):
    @step
    def pick(self) -> Pick:
        return Pick()

    @pick.compensate
    def put_back(self) -> PutBack:
        return PutBack()

    @step
    def send(self) -> Send:
        return Send()


class Broker:
    """Keeps what is published; has nothing else to tell."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.published += messages

    async def receive(self, limit: int, timeout: float | None) -> Sequence[Incoming]:
        return ()

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        """Nothing to do."""

    async def handled_until(self) -> datetime | None:
        return None

    def answers(self, outcome: Outcome) -> list[Incoming]:
        """An answer to every command that was published since the last call."""
        commands = [each for each in self.published if wire.STEP in each.headers]
        self.published.clear()
        return [answer(each, outcome) for each in commands]


def start(key: str) -> Incoming:
    subject = wire.event_subject(NAMESPACE, "shop.placed")
    return arrived(subject, {wire.CE_ID: key}, f'{{"key": "{key}"}}'.encode(), "start-order")


def answer(command: Outgoing, outcome: Outcome) -> Incoming:
    headers = {
        wire.CE_ID: f"answer to {command.message_id}",
        wire.SAGA_ID: command.headers[wire.SAGA_ID],
        wire.CAUSATION_ID: command.message_id,
        wire.OUTCOME: str(outcome),
    }
    return arrived("test.evt.shop.any", headers, b"{}", "saga-order")


def arrived(subject: str, headers: dict[str, str], body: bytes, consumer: str) -> Incoming:
    return Incoming(subject, headers, body, datetime.now(UTC), 1, consumer=consumer)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many statements all connections have executed since it was last asked."""
    executed = 0

    def counted(cursor: type[Any]) -> None:
        execute = cursor.execute

        def counting(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal executed
            executed += 1
            return execute(self, *arguments, **options)

        monkeypatch.setattr(cursor, "execute", counting)

    def count() -> int:
        nonlocal executed
        executed, before = 0, executed
        return before

    counted(psycopg.Cursor)
    counted(psycopg.AsyncCursor)
    return count


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    database: str, statements: Callable[[], int]
) -> None:
    async def counts(store: PostgresStore, size: int) -> list[int]:
        """Of batches that start so many sagas, have them go on, turn back, and come to their end."""
        broker = Broker()
        ports: tuple[Any, ...] = (store, broker, broker, SystemClock())
        registry = Registry([Order.definition])
        engine = Engine(registry, *ports, namespace=NAMESPACE, name="one", batch_size=size)
        await engine.step()  # what is done at a start is not counted
        found: list[int] = []
        batch = [start(f"{size}-{number}") for number in range(size)]
        for outcome in (Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.SUCCEEDED, Outcome.SUCCEEDED):
            assert len(batch) == size
            statements()
            await engine.step(batch)
            found.append(statements())
            batch = broker.answers(outcome)
        assert batch == []
        rows = await store.saga_rows(limit=1000)
        assert {row.status for row in rows} == {"compensated"}
        return found

    async with PostgresStore.open(database, NAMESPACE) as store:
        await store.register([Order.definition.shape()])
        await counts(store, 1)  # connections and prepared statements are made
        few = await counts(store, 5)
        assert few == await counts(store, 100)
    assert max(few) < 20
