"""Databases beside the one of a URL, on the same server."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql

from amends.infrastructure.errors import DatabaseNotCreated
from amends.infrastructure.postgres.reaching import reaching

_LONGEST_NAME = 63


def beside(url: str, name: str) -> str:
    """The URL of the database `name` on the server of `url`."""
    parts = urlsplit(url)
    query = urlencode(
        [pair for pair in parse_qsl(parts.query) if pair[0] != "dbname"], quote_via=quote, safe=""
    )
    return urlunsplit(parts._replace(path="/" + quote(name, safe=""), query=query))


async def create_if_missing(url: str, name: str, maintenance: str) -> str:
    """The URL of the database `name` on the server of `url`, created if need be by way of the database
    `maintenance`.

    Safe when two create it at once. Raises DatabaseNotCreated, DatabaseUnreachable.
    """
    if not 0 < len(name.encode()) <= _LONGEST_NAME:
        raise DatabaseNotCreated(
            f"A database name of 1 to {_LONGEST_NAME} bytes was expected; came {name!r}."
        )
    with reaching("the database URL (AMENDS_DATABASE_URL)"):
        connecting = await psycopg.AsyncConnection.connect(beside(url, maintenance), autocommit=True)
    async with connecting as connection:
        cursor = await connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if await cursor.fetchone() is None:
            try:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (errors.DuplicateDatabase, errors.UniqueViolation):
                pass  # somebody else created it just now
            except errors.InsufficientPrivilege as error:
                raise DatabaseNotCreated(
                    f"The database {name!r} was expected on {connection.info.host} and is missing, and the "
                    "user "
                    f"{connection.info.user} may not create it: {error}. Create it as an administrator, "
                    "with that user as "
                    f"its owner, or allow the user to: ALTER ROLE … CREATEDB."
                ) from error
    return beside(url, name)
