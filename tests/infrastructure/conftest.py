"""Every kind of store, empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest

from amends.infrastructure.clock import SystemClock
from amends.infrastructure.memory.store import MemoryStore
from amends.infrastructure.postgres.store import PostgresStore, migrate_store
from tests.conftest import DatabaseFrom

AnyStore: TypeAlias = MemoryStore | PostgresStore


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, database_from: DatabaseFrom) -> AsyncIterator[AnyStore]:
    if request.param == "memory":
        yield MemoryStore(SystemClock())
        return
    url = await database_from("store", lambda url: migrate_store(url, "test"))
    async with PostgresStore.open(url, "test") as opened:
        yield opened
