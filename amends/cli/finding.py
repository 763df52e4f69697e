"""What commands about existing sagas have in common: settings, the store, and which saga is meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amends.infrastructure.embedded import Servers
from amends.infrastructure.logging import configure
from amends.infrastructure.ports import SagaRow
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.postgres.views import PostgresViews
from amends.infrastructure.settings import Settings
from amends.projections.installing import prepare
from amends.projections.queries import Queries, find


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


@asynccontextmanager
async def opened_queries() -> AsyncIterator[Queries]:
    """What can be asked about the sagas of the settings in the environment."""
    settings = quiet_settings()
    async with opened_store(settings) as store, opened_views(settings) as views:
        yield Queries(store, views)


@asynccontextmanager
async def opened_views(settings: Settings) -> AsyncIterator[PostgresViews]:
    """The views of these settings, which are made where they are missing."""
    async with Servers(settings) as servers:
        await prepare(servers.database_url, settings.namespace)
        async with PostgresViews.open(servers.database_url, settings.namespace) as views:
            yield views


async def find_saga(store: PostgresStore, named: str) -> SagaRow:
    """The saga of this id or key. Raises `SagaNotFound`, `SeveralSagas`."""
    return await find(store, named)
