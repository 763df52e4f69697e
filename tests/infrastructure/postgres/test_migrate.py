"""Migrations: once, in order, safe when many start at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from amends.infrastructure.postgres.migrate import MigrationRefused, migrate, read_migrations

ODD = 'We"ird'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "some_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "001_one.sql").write_text("CREATE TABLE one (id int);\nINSERT INTO one VALUES (1);")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    sys.modules.pop("some_migrations", None)


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def test_programs_that_start_at_once_apply_each_file_once(database: str, package: Path) -> None:
    await asyncio.gather(*(migrate(database, "some_migrations", ODD) for _ in range(8)))
    assert await rows(database, 'SELECT id FROM "We""ird".one') == [(1,)]


async def test_a_file_added_later_is_applied_alone(database: str, package: Path) -> None:
    await migrate(database, "some_migrations", "s")
    (package / "002_two.sql").write_text("INSERT INTO one VALUES (2)")
    await migrate(database, "some_migrations", "s")
    assert await rows(database, "SELECT id FROM s.one ORDER BY id") == [(1,), (2,)]


async def test_a_file_that_fails_leaves_nothing(database: str, package: Path) -> None:
    (package / "002_two.sql").write_text("SELECT 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(database, "some_migrations", "s")
    assert await rows(database, "SELECT to_regclass('s.one') IS NULL") == [(True,)]


async def test_a_file_that_was_renamed_is_refused(database: str, package: Path) -> None:
    await migrate(database, "some_migrations", "s")
    (package / "001_one.sql").rename(package / "001_other.sql")
    with pytest.raises(MigrationRefused, match=r"001_other\.sql.*001_one\.sql"):
        await migrate(database, "some_migrations", "s")


def test_a_gap_in_the_numbers_is_refused(package: Path) -> None:
    (package / "003_three.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=r"\[1, 3\]"):
        read_migrations("some_migrations")


async def test_a_role_that_may_not_create_schemas_can_use_one_that_is_there(
    database: str, package: Path
) -> None:
    await migrate(database, "some_migrations", "s")
    limited = (
        "CREATE ROLE limited_role NOLOGIN; GRANT USAGE ON SCHEMA s TO limited_role;"
        "GRANT SELECT ON s.migrations TO limited_role; GRANT limited_role TO CURRENT_USER"
    )
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(limited.encode())
        try:
            separator = "&" if "?" in database else "?"
            await migrate(f"{database}{separator}options=-crole%3Dlimited_role", "some_migrations", "s")
        finally:
            await connection.execute("DROP OWNED BY limited_role; DROP ROLE limited_role")
