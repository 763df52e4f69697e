"""What stands beside the sagas does the same work: the prototype's orders end as theirs, and nothing is left behind."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from amends import Settings
from amends.infrastructure.embedded import Servers
from benchmarks import machine, prototype, prototype_services
from benchmarks.jetstream import JetStream
from benchmarks.sample import Sample

pytestmark = pytest.mark.usefixtures("alone")

SAMPLE = Sample(
    orders=1,
    events=[(UUID(int=1), version, "saga.started:1", b"{}") for version in range(1, 11)],
    messages=[("Amends-Saga: order@1\r\n", b"{}")] * 11,
)


def steps(number: int) -> list[str]:
    """The commands of one saga of the prototype, each answered as its echo service answers."""
    saga: prototype.Saga = {"back": False}
    message = {"saga": "s", "number": number}
    sent: list[str] = []
    while step := prototype.decide(saga, message):
        sent.append(step)
        message = {**message, "step": step, "refused": step == "ship" and number % 10 == 0}
    return sent


def test_an_order_of_the_prototype_takes_the_same_steps() -> None:
    assert steps(1) == ["reserve", "charge", "ship", "notify"]
    assert steps(10) == ["reserve", "charge", "ship", "refund", "release"]


async def test_the_prototype_brings_all_orders_to_their_end(servers: Servers, database: str) -> None:
    settings = Settings(data_dir=servers.folder.home)
    figures = await prototype.measure(database, servers.nats_url, settings, 20, light=0.5)
    assert [figure.name for figure in figures] == [
        "saturated", "latency at 20/s, p50", "latency at 20/s, p99", "latency at 20/s, p99.9"
    ]  # fmt: skip
    assert all(figure.median > 0 for figure in figures)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        found = await connection.execute("SELECT to_regclass('prototype_sagas')")
        assert await found.fetchall() == [(None,)]


async def test_the_services_of_the_prototype_do_what_the_examples_do(servers: Servers) -> None:
    settings = Settings(data_dir=servers.folder.home)
    [figure] = await prototype_services.measure(servers, settings, 20)
    assert (figure.subject, figure.name) == ("prototype, four services", "saturated")
    orders = prototype.WARM + 20
    for name, effects in {
        "inventory": "SELECT count(*), 10000000 - min(on_hand) FROM reservations, stock",
        "payments": "SELECT count(*) FILTER (WHERE NOT refunded), count(*) - 0.1 * count(*) FROM charges",
        "shipping": "SELECT count(*), count(*) FROM shipments",
        "notifications": "SELECT count(*), count(*) FROM notifications",
    }.items():
        async with await psycopg.AsyncConnection.connect(
            await servers.database(prototype_services.database_of(name))
        ) as connection:
            [found] = await (await connection.execute(effects)).fetchall()
        assert tuple(map(float, found)) == (orders * 0.9, orders * 0.9), name
    await prototype_services.remove(servers)


async def test_the_machine_is_measured_with_the_bytes_of_the_sample(servers: Servers, database: str) -> None:
    rows = await machine.postgres(database, SAMPLE, 0.05)
    assert [figure.unit for figure in rows] == ["rows/s", "sagas/s"] * 2
    assert rows[1].median == rows[0].median / 10
    messages = await machine.jetstream(servers.nats_url, SAMPLE, 50)
    assert all(figure.median > 0 for figure in (*rows, *messages))
    async with JetStream.connect(servers.nats_url) as jetstream:
        await jetstream.stream("ALONE", "alone.>")  # it was removed, or this would find other messages in it
        assert await jetstream.count("ALONE") == 0
        await jetstream.remove("ALONE")
