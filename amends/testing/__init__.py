"""For users' own tests: scenarios of a saga, on virtual time or on real servers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amends.testing.kit import SagaTest
    from amends.testing.kit.asked import Asked
    from amends.testing.kit.errors import BadScript
    from amends.testing.kit.scenario import Scenario

__all__ = ["Asked", "BadScript", "SagaTest", "Scenario"]

_HOMES = {
    "Asked": "amends.testing.kit.asked",
    "BadScript": "amends.testing.kit.errors",
    "SagaTest": "amends.testing.kit",
    "Scenario": "amends.testing.kit.scenario",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the plug-in is imported at the start of every test run.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'amends.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)
