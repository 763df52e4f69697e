"""Whatever bytes somebody publishes, a worker buries what it cannot use, and goes on."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from urllib.parse import urlsplit

from amends.domain import wire
from amends.infrastructure.embedded import Servers
from tests.process_managers.test_bad_input import opened

BODIES = [
    b"", b"null", b"[]", b"1e999", b"\xff", b'{"key":' + b"[" * 5000, b'{"key":NaN}', b'{"key":{}}', b'{"key":" "}',
    b'{"key":"\\ud800"}', b'{"key":"a\\u0000b"}', b'{"key":"%0a\\n\\r"}', b'{"key":"b","size":99999999999999999999}',
    b'{"reason":"\\ud800"}', b'{"reason":"a\\u0000b","details":"\\u0000"}', b'{"retry_after":1e308}',
    b'{"retry_after":true}',
    b'{"code":5,"reason":["x"],"details":{"a":1e999}}', b'{"code":"' + b"x" * 300_000 + b'"}',
]  # fmt: skip
HEADER_LINES = [
    b"ce-id: \xff\xfe%d", b"ce-id: a\0b%d", b"ce-id: %d\r\ntraceparent: \xff", b"no colon %d", b": empty %d",
    b"Nats-Msg-Id: %d\r\n" + b"Z" * 4000 + b": " + b"y" * 9000, b"Amends-Round: %d", b"Amends-Saga: \xff%d",
]  # fmt: skip


async def test_nothing_that_can_be_published_stops_a_worker(servers: Servers, namespace: str) -> None:
    """Every body with every header, as a start, and as an answer to a command that is there."""
    async with opened(servers, namespace) as place:
        _, true = await place.run("k-1")
        named = b"".join(f"{name}: {value}\r\n".encode() for name, value in true.items())
        messages: list[bytes] = []
        for number, (line, body) in enumerate(product(HEADER_LINES, BODIES)):
            own = line.replace(b"%d", b"%d" % number) + b"\r\n"
            messages.append(published(namespace, "desk.asked", own, body))
            messages.append(published(namespace, "desk.answer.rejected", named + own, body))
            messages.append(published(namespace, "desk.answer.done", named + own, body))
        await tell_nats(servers.nats_url, b"".join(messages))
        await place.goes_on()


def published(namespace: str, subject: str, headers: bytes, body: bytes) -> bytes:
    """The command that publishes this, byte for byte."""
    place = wire.event_subject(namespace, subject).encode()
    block = b"NATS/1.0\r\n" + headers + b"\r\n"
    return b"HPUB %b %d %d\r\n" % (place, len(block), len(block) + len(body)) + block + body + b"\r\n"


async def tell_nats(url: str, commands: bytes) -> None:
    """Say this to the server; returns when it has read it all."""
    address = urlsplit(url)
    options = {"user": address.username, "pass": address.password, "headers": True, "verbose": False}
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"CONNECT {json.dumps(options)}\r\n".encode() + commands + b"PING\r\n")
    async with asyncio.timeout(30):
        while (line := await reader.readline()) != b"PONG\r\n":
            assert line.startswith(b"INFO"), line
    writer.close()
    await writer.wait_closed()
