"""A whole system in memory for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.process_managers.system import System


@pytest.fixture
async def system() -> AsyncIterator[System]:
    made = System()
    await made.open()
    yield made
    await made.close()
