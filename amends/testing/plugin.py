"""The pytest plug-in: the fixture `saga_test`, and the option `--amends-embedded`.

It imports nothing but pytest until a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from amends.testing import SagaTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("amends")
    group.addoption(
        "--amends-embedded",
        action="store_true",
        help="Run saga_test scenarios on real PostgreSQL and NATS, which it starts.",
    )


@pytest.fixture
def saga_test(request: pytest.FixtureRequest) -> Iterator[SagaTest]:
    """Makes a scenario of a saga: `saga_test(Order).start(…).expect(…)`."""
    try:
        from amends.testing.kit import Kit
    except ModuleNotFoundError as error:
        pytest.fail(f"{error.name} is not installed; saga_test runs the worker, so install `amends[worker]`")
    embedded = bool(request.config.getoption("--amends-embedded"))
    with Kit(request.getfixturevalue("_amends_servers") if embedded else None) as kit:
        yield kit.scenario


@pytest.fixture(scope="session")
def _amends_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from amends.infrastructure.embedded.folder import Folder
    from amends.infrastructure.settings import Settings
    from amends.testing.kit.embedded import EmbeddedServers

    settings = Settings(data_dir=tmp_path_factory.mktemp("amends"), database_url=None, nats_url=None)
    try:
        with EmbeddedServers(settings) as servers:
            yield servers
    finally:
        Folder(settings.data_dir).delete()  # part of it may lie elsewhere, where pytest does not clean up
