"""What commands about existing sagas have in common: settings, the store, and which saga is meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from amends.domain.errors import AmendsError
from amends.infrastructure.embedded import Servers
from amends.infrastructure.logging import configure
from amends.infrastructure.ports import SagaRow
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings


class SagaNotFound(AmendsError):
    """There is no saga of this id or key."""


def quiet_settings() -> Settings:
    """The settings, with no log but errors."""
    settings = Settings()
    configure(settings.model_copy(update={"log_level": "error"}))
    return settings


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[PostgresStore]:
    """The store of these settings."""
    async with (
        Servers(settings) as servers,
        PostgresStore.open(servers.database_url, settings.namespace) as store,
    ):
        yield store


async def find_saga(store: PostgresStore, named: str) -> SagaRow:
    """The saga of this id or key. Raises `SagaNotFound`."""
    try:
        rows = await store.saga_rows(saga_id=UUID(named))
    except ValueError:
        rows = await store.saga_rows(key=named)
    if not rows:
        raise SagaNotFound(
            f"expected the id or key of a saga, got {named!r}; there is none such in this namespace. A saga is known "
            "once a worker has taken its start event"
        )
    if len(rows) > 1:
        ids = ", ".join(f"{row.saga_id} ({row.saga})" for row in rows)
        raise SagaNotFound(f"expected one saga of the key {named!r}, got several: {ids}; name one by its id")
    return rows[0]
