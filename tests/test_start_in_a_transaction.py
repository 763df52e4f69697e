"""A saga that starts with the application's own transaction, or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from amends import Client, Command, Event, Participant, Saga, Settings, Tx, Worker, step
from amends.client import NoOutbox
from amends.infrastructure.embedded import Servers
from amends.infrastructure.errors import DatabaseUnreachable
from tests.infrastructure.nats.conftest import OwnServer


class Bought(Event, subject="shop.bought"):
    order_id: str
    total: Decimal


class Pack(Command, subject="store.pack"):
    order_id: str


class Purchase(Saga[Bought], name="purchase", version=1, key="order_id"):
    @step
    def pack(self) -> Pack:
        return Pack(order_id=self.key)


def packer() -> Participant[None]:
    participant: Participant[None] = Participant("store")

    @participant.handles(Pack)
    async def pack(command: Pack, tx: Tx) -> None:
        """Nothing to do."""

    return participant


async def test_a_start_in_a_transaction_happens_with_its_commit(servers: Servers, namespace: str) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    shop = await servers.database(f"{namespace}_shop")
    async with (
        Worker([Purchase], settings),
        packer().running(settings),
        Client(settings, outbox_url=shop) as client,
        await AsyncConnection.connect(shop) as tx,
    ):
        undone = await client.start(Purchase, Bought(order_id="o-0", total=Decimal(1)), tx=tx)
        await tx.rollback()
        run = await client.start(Purchase, Bought(order_id="o-1", total=Decimal(1)), tx=tx)
        await tx.commit()
        assert await run.result(timeout=timedelta(seconds=30)) == "completed"
        with pytest.raises(Exception, match="finish"):
            await undone.result(timeout=timedelta(milliseconds=50))


async def test_a_transaction_needs_an_outbox(servers: Servers, namespace: str) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    async with Client(settings) as client, await AsyncConnection.connect(servers.database_url) as tx:
        with pytest.raises(NoOutbox, match="outbox_url"):
            await client.start(Purchase, Bought(order_id="o-1", total=Decimal(1)), tx=tx)


async def test_the_same_event_again_is_the_same_start(servers: Servers, namespace: str) -> None:
    settings = Settings(data_dir=Path(servers.folder.home), namespace=namespace)
    async with Worker([Purchase], settings), packer().running(settings), Client(settings) as client:
        first = await client.start(Purchase, Bought(order_id="o-1", total=Decimal(1)))
        again = await client.start(Purchase, Bought(order_id="o-1", total=Decimal(1)))
        assert first.id == again.id
        assert await again.result(timeout=timedelta(seconds=30)) == "completed"


async def test_a_client_that_cannot_be_opened_leaves_nothing_open(servers: Servers, namespace: str) -> None:
    settings = Settings(data_dir=servers.folder.home, namespace=namespace)
    before = asyncio.all_tasks()
    with pytest.raises(DatabaseUnreachable):
        async with Client(settings, outbox_url="postgresql://127.0.0.1:1/nowhere"):
            pass
    if left := asyncio.all_tasks() - before:
        _, left = await asyncio.wait(left, timeout=2)
    assert not left


async def test_a_client_that_is_left_by_an_error_does_not_wait_for_the_broker(
    servers: Servers, namespace: str, tmp_path: Path
) -> None:
    """What is recorded is published by the next one."""
    broker = OwnServer(tmp_path)
    await broker.start()
    settings = Settings.model_validate(
        {"database_url": servers.database_url, "nats_url": broker.url, "namespace": namespace}
    )
    shop = await servers.database(f"{namespace}_shop")

    async def leave() -> None:
        async with Client(settings, outbox_url=shop) as client, await AsyncConnection.connect(shop) as tx:
            await broker.stop(kill=True)
            await client.start(Purchase, Bought(order_id="o-1", total=Decimal(1)), tx=tx)
            await tx.commit()
            raise ZeroDivisionError

    async with asyncio.timeout(20):
        with pytest.raises(ZeroDivisionError):
            await leave()
