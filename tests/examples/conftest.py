"""The examples' scenarios run in memory; with `play` parametrised, the same ones on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amends import Settings
from amends.infrastructure.embedded import Servers
from amends.testing import SagaTest
from amends.testing.kit import Kit
from amends.testing.kit.embedded import EmbeddedServers


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Iterator[SagaTest]:
    """Makes scenarios, as the fixture `saga_test` does: on `embedded` servers where the parameter says so."""
    if getattr(request, "param", "memory") == "memory":
        with Kit() as kit:
            yield kit.scenario
        return
    servers: Servers = request.getfixturevalue("servers")
    settings = Settings(database_url=request.getfixturevalue("database"), nats_url=servers.nats_url)
    with EmbeddedServers(settings) as given, Kit(given) as kit:
        yield kit.scenario
