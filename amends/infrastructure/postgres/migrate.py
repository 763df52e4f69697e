"""Brings a schema to the state that this program expects: numbered `.sql` files, applied once, in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import scalar_row

from amends.domain.errors import AmendsError
from amends.infrastructure.postgres.queries import fill

_FILE_NAME: Final = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_QUERIES: Final = "amends.infrastructure.postgres.migrate_sql"


class MigrationRefused(AmendsError):
    """The migrations of a package and those recorded in the database do not belong together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str


async def migrate(conninfo: str, package: str, schema: str) -> None:
    """Apply the files `NNN_name.sql` of the folder `package` to `schema`, which is made if it is missing.

    Files name their tables without a schema. All of them run in one transaction under an advisory lock, so
    programs that start at once wait for each other. Raises `MigrationRefused` when a number was applied under
    another name, or a number is missing from the folder; psycopg's errors pass through.
    """
    wanted = read_migrations(package)
    async with await AsyncConnection.connect(conninfo) as connection:
        await connection.execute(fill(_QUERIES, "lock"), {"schema": schema})
        await ensure_schema(connection, schema)
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        applied = await _applied(connection, package)
        for migration in wanted:
            recorded = applied.get(migration.version)
            if recorded is None:
                await _apply(connection, package, migration)
            elif recorded != migration.name:
                raise MigrationRefused(
                    f"schema {schema!r}: expected migration {migration.version} of {package} to be "
                    f"{migration.name!r}, but {recorded!r} was applied; add files, never rename one"
                )


async def differing(conninfo: str, package: str, schema: str) -> tuple[Sequence[str], Sequence[str]]:
    """What is wanted and not applied yet, and what was applied and is not known here; nothing is changed."""
    wanted = {migration.name for migration in read_migrations(package)}
    async with await AsyncConnection.connect(conninfo) as connection:
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
        recorded = await _is_so(connection, "is_recorded")
        applied = set((await _applied(connection, package)).values()) if recorded else set()
    return sorted(wanted - applied), sorted(applied - wanted)


def read_migrations(package: str) -> list[Migration]:
    """The migrations in a package folder, in order. Raises `MigrationRefused` unless they count 1, 2, 3 …"""
    found = [
        Migration(int(match[1]), match[0], entry.read_text(encoding="utf-8"))
        for entry in files(package).iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    found.sort(key=lambda migration: migration.version)
    versions = [migration.version for migration in found]
    if not versions or versions != list(range(1, len(versions) + 1)):
        raise MigrationRefused(
            f"{package}: expected files 001_name.sql, 002_name.sql …; got the numbers {versions}"
        )
    return found


async def ensure_schema(connection: AsyncConnection, schema: str) -> bool:
    """Make the schema unless there is one; whether it was made."""
    if await _is_so(connection, "has_schema", schema=schema):
        return False
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    return True


async def _is_so(connection: AsyncConnection, query: str, **arguments: str) -> bool:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(fill(_QUERIES, query), arguments)
    return bool(await cursor.fetchone())


async def _applied(connection: AsyncConnection, package: str) -> dict[int, str]:
    if not await _is_so(connection, "is_recorded"):
        await connection.execute(fill(_QUERIES, "records"))
    cursor = await connection.execute(fill(_QUERIES, "applied"), {"package": package})
    return {int(version): str(name) for version, name in await cursor.fetchall()}


async def _apply(connection: AsyncConnection, package: str, migration: Migration) -> None:
    await connection.execute(migration.text.encode())
    facts = {"package": package, "version": migration.version, "name": migration.name}
    await connection.execute(fill(_QUERIES, "record"), facts)
