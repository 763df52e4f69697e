"""The first connection: where it fails, a person gave a wrong URL or forgot to start the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from amends.infrastructure.errors import DatabaseUnreachable


@contextmanager
def reaching(named_by: str) -> Iterator[None]:
    """Raises DatabaseUnreachable where the body cannot connect; `named_by` is what says where PostgreSQL is."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(
            f"expected PostgreSQL where {named_by} says; got: {error}. Start the server, or correct the URL and "
            "the credentials in it"
        ) from error
