"""For users' own tests: scenarios of a saga, on virtual time or on real servers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amends.testing.kit import SagaTest
    from amends.testing.kit.scenario import Asked, BadScript, Scenario

__all__ = ["Asked", "BadScript", "SagaTest", "Scenario"]

_HOMES = {
    "Asked": "amends.testing.kit.scenario",
    "BadScript": "amends.testing.kit.scenario",
    "SagaTest": "amends.testing.kit",
    "Scenario": "amends.testing.kit.scenario",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the plug-in is imported at the start of every test run.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'amends.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)
