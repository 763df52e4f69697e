"""The first connection, the next ones, and what the URL says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from amends.infrastructure.nats import Broker, BrokerClosed, BrokerUnreachable

if TYPE_CHECKING:
    from tests.infrastructure.nats.conftest import OwnServer


async def test_no_server_is_told_with_the_setting_and_without_the_password(own_server: OwnServer) -> None:
    await own_server.stop()
    broker = Broker(f"nats://me:secret@127.0.0.1:{own_server.port}", connect_within=0.5)
    with pytest.raises(BrokerUnreachable, match="AMENDS_NATS_URL") as refused:
        await broker.__aenter__()
    assert "secret" not in str(refused.value)
    assert f"127.0.0.1:{own_server.port}" in str(refused.value)


async def test_a_server_without_jetstream_is_told(own_server: OwnServer) -> None:
    await own_server.stop()
    await own_server.start(jetstream=False)
    with pytest.raises(BrokerUnreachable, match="JetStream"):
        await Broker(own_server.url, connect_within=1.0).__aenter__()


async def test_credentials_of_the_url_are_decoded_and_used(own_server: OwnServer) -> None:
    own_server.more = 'authorization { user: "me", password: "p@ss:wörd/" }'
    await own_server.restart()
    # The server says why and hangs up; now and then only the hanging up arrives.
    with pytest.raises(BrokerUnreachable, match=r"Authorization|Connection reset"):
        await Broker(own_server.url, connect_within=1.0).__aenter__()
    own_server.credentials = "me:p%40ss%3Aw%C3%B6rd%2F@"
    async with Broker(own_server.url) as broker:
        await own_server.restart()
        await broker.api.call("INFO")


async def test_a_tls_url_is_never_served_in_clear(own_server: OwnServer) -> None:
    url = own_server.url.replace("nats://", "tls://")
    with pytest.raises(BrokerUnreachable, match="TLS"):
        await Broker(url, connect_within=0.5).__aenter__()


@pytest.mark.parametrize("kill", [True, False])
async def test_it_comes_back_and_tells(own_server: OwnServer, kill: bool) -> None:
    async with Broker(own_server.url) as broker:
        again = asyncio.Event()
        broker.reconnected.listen(again.set)
        for _ in range(3):
            await own_server.restart(kill=kill)
            async with asyncio.timeout(10):
                await again.wait()
                assert broker.is_up
                await broker.api.call("INFO")
            again.clear()


async def test_a_request_waits_while_the_server_is_away(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await own_server.stop(kill=True)
        asking = asyncio.create_task(broker.api.call("INFO"))
        await asyncio.wait({asking}, timeout=1.0)
        assert not asking.done()
        await own_server.start()
        async with asyncio.timeout(10):
            assert "limits" in await asking


async def test_an_error_of_the_server_is_not_the_end(own_server: OwnServer) -> None:
    """The server ends connections for a too large message, for instance; nats-py would never come back."""
    async with Broker(own_server.url) as broker:
        again = asyncio.Event()
        broker.reconnected.listen(again.set)
        await broker.client._send_command(b"PUB a 3000000\r\n")
        await broker.client._flush_pending()
        async with asyncio.timeout(10):
            await again.wait()
            await broker.api.call("INFO")


async def test_what_is_asked_of_a_closed_broker_is_refused(own_server: OwnServer) -> None:
    async with Broker(own_server.url) as broker:
        await own_server.stop(kill=True)
        waiting = asyncio.create_task(broker.api.call("INFO"))
        await asyncio.wait({waiting}, timeout=0.2)
    with pytest.raises(BrokerClosed):
        await waiting
    with pytest.raises(BrokerClosed):
        await broker.connected()


async def test_a_second_server_of_the_url_takes_over(own_server: OwnServer) -> None:
    async with Broker(f"nats://127.0.0.1:1,{own_server.url}", connect_within=5) as broker:
        await own_server.restart()
        await broker.api.call("INFO")
