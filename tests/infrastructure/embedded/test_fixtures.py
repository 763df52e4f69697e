"""The fixtures that all other tests stand on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import nats
import psycopg

from amends.infrastructure.embedded import Servers


async def _one(url: str, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(query.encode())).fetchone()
    return row and row[0]


async def test_postgres_is_version_18_and_durable(database: str) -> None:
    assert str(await _one(database, "SHOW server_version")).startswith("18.")
    for setting in ("fsync", "synchronous_commit", "autovacuum"):
        assert await _one(database, f"SHOW {setting}") == "on"
    assert await _one(database, "SHOW jit") == "off"
    assert await _one(database, "SHOW listen_addresses") == ""


async def test_text_is_utf8_in_code_point_order_on_every_system(database: str) -> None:
    assert await _one(database, "SHOW server_encoding") == "UTF8"
    assert await _one(database, "SELECT 'Z' < 'a' AND upper('ä') = 'Ä'") is True


async def test_nats_has_jetstream(servers: Servers) -> None:
    client = await nats.connect(servers.nats_url)
    assert (await client.jetstream().account_info()).streams >= 0
    await client.close()


async def test_a_clone_has_what_the_template_has_and_is_the_test_s_own(
    database_from: Callable[[str, Callable[[str], Awaitable[None]]], Awaitable[str]],
) -> None:
    migrations = 0

    async def migrate(url: str) -> None:
        nonlocal migrations
        migrations += 1
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("CREATE TABLE things AS SELECT 7 AS size")

    first, second = await database_from("things", migrate), await database_from("things", migrate)
    assert migrations == 1
    assert first != second
    async with await psycopg.AsyncConnection.connect(first) as connection:
        await connection.execute("DELETE FROM things")
    assert await _one(first, "SELECT count(*) FROM things") == 0
    assert await _one(second, "SELECT size FROM things") == 7
