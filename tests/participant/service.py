"""A service that charges cards, written as a user would write it, and messages to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID, uuid5

import psycopg
from psycopg import AsyncConnection

from amends.domain import wire
from amends.domain.messages import Command, Event
from amends.infrastructure.ports import Incoming, Outgoing
from amends.participant import Failed, Participant, Rejected, Tx

NAMESPACE = "amends"


class Charged(Event, subject="payments.charged"):
    order_id: str
    amount: Decimal


class Charge(Command[Charged], subject="payments.charge"):
    order_id: str
    amount: Decimal = Decimal("1.10")
    behave: str = "well"


class Refunded(Event, subject="payments.refunded"):
    order_id: str


class Refund(Command[Refunded], subject="payments.refund"):
    order_id: str
    behave: str = "well"


class Remind(Command, subject="payments.remind"):
    order_id: str


def payments(**options: Any) -> Participant:
    participant = Participant("payments", **options)

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        await effect(tx, command.order_id, "charge")
        await misbehave(command.behave, tx, command.order_id)
        order = command.order_id if command.behave != "at length" else "x" * 2 * wire.MAX_MESSAGE
        return Charged(order_id=order, amount=command.amount)

    @participant.handles(Refund, undoes=Charge)
    async def refund(command: Refund, tx: Tx) -> Refunded:
        await effect(tx, command.order_id, "refund")
        await misbehave(command.behave, tx, command.order_id)
        return Refunded(order_id=command.order_id)

    @participant.handles(Remind)
    async def remind(command: Remind, tx: Tx) -> None:
        await effect(tx, command.order_id, "remind")

    return participant


async def migrate(url: str) -> None:
    await payments().migrate(url)
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE effects (order_id text, kind text)")
        await connection.execute("CREATE TABLE unique_later (name text UNIQUE DEFERRABLE INITIALLY DEFERRED)")


async def effect(tx: Tx, order_id: str, kind: str) -> None:
    await tx.execute("INSERT INTO effects VALUES (%s, %s)", [order_id, kind])


_STATEMENTS: dict[str, tuple[LiteralString, ...]] = {
    "statement": ("SELECT 1/0",),
    "too slow": ("SET LOCAL statement_timeout TO '10ms'", "SELECT pg_sleep(3600)"),
    "later": ("INSERT INTO unique_later VALUES ('same'), ('same')",),
}


async def misbehave(how: str, tx: Tx, order_id: str) -> None:
    match how:
        case "reject":
            raise Rejected("declined", "the card was declined", {"limit": Decimal("0.50")})
        case "fail":
            raise Failed("busy", "the bank is busy", retry_after=timedelta(seconds=90))
        case "break":
            raise ZeroDivisionError("a bug")
        case "statement" | "too slow" | "later":
            for statement in _STATEMENTS[how]:
                await tx.execute(statement)
        case "swallow":
            try:
                await tx.execute("SELECT 1/0")
            except psycopg.Error:
                return
        case "elsewhere":
            raise psycopg.OperationalError("another database, which it talks to, cannot be reached")
        case "unsendable":
            raise Rejected("declined", "no JSON for this", {"limit": float("nan")})
        case _:
            pass


class Counter:
    """Counts, to tell ids apart."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def __call__(self) -> int:
        return next(self._count)


_count = Counter()
_SAGA = UUID("5d3c3bb4-5a4e-5b8c-9d13-5b6c2f1d7e10")


def command_message(
    command: Command[Any],
    *,
    key: str = "k1",
    forward_key: str | None = None,
    close: bool = False,
    command_id: str | None = None,
    opened: datetime | timedelta = timedelta(0),
    expires: datetime | None = None,
    headers: dict[str, str | None] | None = None,
    body: bytes | None = None,
) -> Incoming:
    """A command as the process manager sends it; `opened` is a time, or how long ago."""
    now = datetime.now(UTC)
    direction = "close" if close else "compensate" if forward_key else "forward"
    sequence = _count()
    opened_at = opened if isinstance(opened, datetime) else now - opened
    given: dict[str, str | None] = {
        wire.CE_ID: command_id or str(uuid5(_SAGA, str(sequence))),
        wire.SAGA_ID: str(_SAGA),
        wire.SAGA: "order@1",
        wire.KEY: "o-1",
        wire.STEP: "charge",
        wire.DIRECTION: direction,
        wire.ROUND: "1",
        wire.ATTEMPT: "1",
        wire.IDEMPOTENCY_KEY: key,
        wire.KEY_OPENED: opened_at.isoformat(),
        wire.FORWARD_KEY: forward_key,
        wire.EXPIRES: expires.isoformat() if expires else None,
        wire.TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        **(headers or {}),
    }
    return Incoming(
        subject=wire.command_subject(NAMESPACE, command.subject),
        headers={name: value for name, value in given.items() if value is not None},
        body=command.model_dump_json().encode() if body is None else body,
        received=now,
        sequence=sequence,
    )


def forward(key: str = "k1", behave: str = "well", **options: Any) -> Incoming:
    return command_message(Charge(order_id=key, behave=behave), key=key, **options)


def compensate(forward_key: str = "k1", key: str = "c1", behave: str = "well", **options: Any) -> Incoming:
    return command_message(
        Refund(order_id=forward_key, behave=behave), key=key, forward_key=forward_key, **options
    )


def close(forward_key: str = "k1", key: str = "x1", **options: Any) -> Incoming:
    return command_message(
        Charge(order_id=forward_key), key=key, forward_key=forward_key, close=True, **options
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as a process manager sees it."""

    outcome: str
    subject: str
    body: dict[str, Any]
    message: Outgoing

    @property
    def code(self) -> str:
        """The outcome; for a no, with its code."""
        return self.outcome if self.outcome == "succeeded" else f"{self.outcome}/{self.body['code']}"


@dataclass(slots=True)
class Service:
    """The participant's core on a connection of the test's."""

    url: str
    connection: AsyncConnection
    participant: Participant = field(default_factory=payments)

    async def send(self, *messages: Incoming) -> list[Outgoing]:
        """All that the participant publishes for one batch."""
        answered = await self.participant.desk(NAMESPACE).answer(self.connection, messages)
        return [each.message for each in answered.recorded]

    async def answers(self, *messages: Incoming) -> list[Reply]:
        """The replies, without dead letters, in order."""
        return [reply(each) for each in await self.send(*messages) if wire.OUTCOME in each.headers]

    async def codes(self, *messages: Incoming) -> list[str]:
        return [each.code for each in await self.answers(*messages)]

    async def code(self, message: Incoming) -> str:
        [code] = await self.codes(message)
        return code

    async def effects(self, order_id: str = "k1") -> list[str]:
        return await self.column("SELECT kind FROM effects WHERE order_id = %s ORDER BY kind", order_id)

    async def column(self, query: str, *values: object) -> list[Any]:
        cursor = await self.connection.execute(query.encode(), values)
        return [row[0] for row in await cursor.fetchall()]


def reply(message: Outgoing) -> Reply:
    outcome = message.headers[wire.OUTCOME]
    return Reply(outcome, message.subject, json.loads(message.body), message)


Run = Callable[[Sequence[Incoming]], Awaitable[list[Outgoing]]]
