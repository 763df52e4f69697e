"""The least that services as reliable as B's can do: they answer the prototype's commands in place of its echo.

For each batch of a hundred commands one transaction with their keys, the effect of each in a statement of its own as
the example's handlers have it, the answers and the outbox; then the answers are published and the commands
acknowledged. No savepoints, no validation, and no other promise than that a command takes effect once.

`python -m benchmarks.prototype_services SERVICE POSTGRES NATS`: one of the programs that `measure` starts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final

import psycopg

from amends.cli.bench.figure import Figure
from amends.cli.running import execute
from amends.examples.order.books import SERVICES, prepare
from amends.infrastructure.embedded import Servers
from amends.infrastructure.settings import Settings
from benchmarks import prototype
from benchmarks.jetstream import JetStream, Message, Received
from benchmarks.prototype import BATCH, BY_INDEX, OUTBOX, Batches, answer, columns, refuses, until_stopped
from benchmarks.results import PROTOTYPE_SERVICES
from benchmarks.servers import drop

_PLENTY: Final = 10_000_000
_STEPS: Final = {
    "inventory": ("reserve", "release"),
    "payments": ("charge", "refund"),
    "shipping": ("ship",),
    "notifications": ("notify",),
}
_EFFECTS: Final = {
    "reserve": (
        "WITH taken AS (UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'lamp' AND on_hand >= 1 RETURNING sku) "
        "INSERT INTO reservations (order_id, sku, quantity) SELECT %s, sku, 1 FROM taken"
    ),
    "release": (
        "WITH returned AS (DELETE FROM reservations WHERE order_id = %s RETURNING sku, quantity) "
        "UPDATE stock SET on_hand = on_hand + returned.quantity FROM returned WHERE returned.sku = stock.sku"
    ),
    "charge": "INSERT INTO charges (order_id, amount) VALUES (%s, 9.90)",
    "refund": "UPDATE charges SET refunded = true WHERE order_id = %s",
    "ship": "INSERT INTO shipments (order_id) VALUES (%s)",
    "notify": "INSERT INTO notifications (order_id, text) VALUES (%s, 'Your order is on its way: T-x')",
}
_TABLES: Final = """
    CREATE TABLE prototype_keys (id text PRIMARY KEY, answer bytea) WITH (fillfactor = 70);
"""
_CLAIM: Final = "INSERT INTO prototype_keys SELECT unnest(%b::text[]) ON CONFLICT DO NOTHING RETURNING id"
_REMEMBER: Final = (
    "UPDATE prototype_keys SET answer = new.answer "
    "FROM unnest(%b::text[], %b::bytea[]) AS new (id, answer) WHERE prototype_keys.id = new.id"
)


class Service(Batches):
    async def step(self) -> None:
        received = await self._jetstream.receive(BATCH)
        async with self._connection.transaction():
            answers = await self._answered(received)
            await self._save(answers)
        await self._jetstream.publish(answers.values())
        self._published = list(answers)
        await self._jetstream.acknowledge(received)

    async def _answered(self, received: Sequence[Received]) -> dict[str, Message]:
        """By the commands' ids."""
        commands = {
            command["id"]: (command, each) for each in received for command in [json.loads(each.body)]
        }
        new = await (await self._connection.execute(_CLAIM, [list(commands)], prepare=True)).fetchall()
        answers: dict[str, Message] = {}
        for (id_,) in new:
            command, message = commands[id_]
            if not refuses(command):
                await self._connection.execute(_EFFECTS[command["step"]], [command["saga"]], prepare=True)
            answers[id_] = answer(message)
        return answers

    async def _save(self, answers: dict[str, Message]) -> None:
        async with self._connection.pipeline():
            if answers:
                kept = columns((id_, message.body) for id_, message in answers.items())
                await self._connection.execute(_REMEMBER, kept, prepare=True)
            await self._enqueue([(id_, message.subject, message.body) for id_, message in answers.items()])


async def serve(name: str, postgres: str, nats: str) -> None:
    async with (
        await psycopg.AsyncConnection.connect(postgres, autocommit=True, options=BY_INDEX) as connection,
        JetStream.connect(nats) as jetstream,
    ):
        await connection.execute(_TABLES)
        await connection.execute(OUTBOX)
        await jetstream.consume(
            "PROTOTYPE_COMMANDS", name, tuple(f"prototype.cmd.{step}" for step in _STEPS[name])
        )
        await until_stopped(Service(connection, jetstream).step)


async def measure(servers: Servers, settings: Settings, count: int) -> list[Figure]:
    """The prototype with these services, each a process with a database of its own, as B has them."""
    urls = {name: await servers.database(database_of(name)) for name in SERVICES}
    await prepare(urls, {"lamp": _PLENTY})
    services = [
        ("-m", "benchmarks.prototype_services", name, urls[name], servers.nats_url) for name in SERVICES
    ]
    return await prototype.measure(
        servers.database_url, servers.nats_url, settings, count, PROTOTYPE_SERVICES, services
    )


async def remove(servers: Servers) -> None:
    """The databases of these services."""
    await drop(servers, map(database_of, SERVICES))


def database_of(service: str) -> str:
    return f"bench_prototype_{service}"


if __name__ == "__main__":
    execute(serve(*sys.argv[1:]))
