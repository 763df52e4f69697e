from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from psycopg import sql

from amends.infrastructure.embedded import Servers
from amends.infrastructure.embedded.databases import beside
from amends.infrastructure.errors import DatabaseNotCreated
from amends.infrastructure.settings import Settings


async def _name(url: str) -> object:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT current_database()")).fetchone()
    return row and row[0]


def test_the_rest_of_the_url_stays() -> None:
    assert beside("postgresql://u:p%40@h:1/a?sslmode=require", "b c") == (
        "postgresql://u:p%40@h:1/b%20c?sslmode=require"
    )
    assert beside("postgresql://u@/a?host=%2Frun%2Fx&dbname=z", "b") == "postgresql://u@/b?host=%2Frun%2Fx"


@pytest.mark.parametrize("name", ["plain", "With-Dash and space", 'quo"te', "ümlaut/%"])
async def test_a_missing_database_is_created_once(servers: Servers, name: str) -> None:
    wanted = name + token_hex(4)
    urls = [await servers.database(wanted), await servers.database(wanted)]
    assert urls[0] == urls[1]
    assert await _name(urls[0]) == wanted


async def test_many_may_create_the_same_database_at_once(servers: Servers) -> None:
    wanted = f"race_{token_hex(4)}"
    urls = await asyncio.gather(*(servers.database(wanted) for _ in range(8)))
    assert len(set(urls)) == 1
    assert await _name(urls[0]) == wanted


async def test_given_urls_are_used_and_nothing_is_embedded(servers: Servers, tmp_path: Path) -> None:
    given = Settings(
        database_url=servers.database_url,
        nats_url=servers.nats_url,
        participant_database_url="postgresql://h/db_{name}",
        data_dir=tmp_path / "none",
    )
    async with Servers(given) as external:
        assert (external.database_url, external.nats_url) == (servers.database_url, servers.nats_url)
        assert (external.postgres_pid, external.nats_pid) == (None, None)
        assert await external.participant_database("stock/1") == "postgresql://h/db_stock%2F1"
        wanted = f"external_{token_hex(4)}"
        assert await _name(await external.database(wanted)) == wanted
    assert not (tmp_path / "none").exists()


async def test_a_participant_has_its_own_database_in_its_namespace(servers: Servers, namespace: str) -> None:
    given = Settings(database_url=servers.database_url, nats_url=servers.nats_url, namespace=namespace)
    async with Servers(given) as external:
        assert await _name(await external.participant_database("stock")) == f"{namespace}_stock"


async def test_a_user_who_may_not_create_is_told_how_to_mend_it(servers: Servers, database: str) -> None:
    role = f"poor_{token_hex(4)}"
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    poor = database.replace("amends@", f"{role}@")
    async with Servers(Settings(database_url=poor, nats_url=servers.nats_url)) as external:
        with pytest.raises(DatabaseNotCreated, match=r"may not create it.*CREATEDB"):
            await external.database("never")


async def test_a_name_that_postgres_would_cut_short_is_refused(servers: Servers) -> None:
    with pytest.raises(DatabaseNotCreated, match="1 to 63 bytes"):
        await servers.database("x" * 64)
