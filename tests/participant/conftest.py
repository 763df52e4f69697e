"""A payments service with a database of its own, and messages to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.conftest import DatabaseFrom
from tests.participant.service import Counter, Service, migrate


@pytest.fixture
async def service_database(database_from: DatabaseFrom) -> str:
    return await database_from("payments_service", migrate)


@pytest.fixture
async def service(service_database: str) -> AsyncIterator[Service]:
    async with await psycopg.AsyncConnection.connect(service_database, autocommit=True) as connection:
        yield Service(service_database, connection)


@pytest.fixture
def counter() -> Counter:
    return Counter()
