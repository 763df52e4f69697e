"""Definitions with a bug that comes and goes: what it meets cannot be decided, and goes into quarantine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from amends.domain.handlers.definition import AnyDefinition
from amends.domain.state import SagaState
from amends.testing.simulation.faults import Chance, Fault


def defective(definition: AnyDefinition, chance: Chance) -> AnyDefinition:
    """The definition; its functions break when the fault strikes."""
    view = definition.view

    def broken(state: SagaState) -> Any:
        if chance.strikes(Fault.DEFECT):
            raise RuntimeError("the dice break the definition")
        return view(state)

    return replace(definition, view=broken)
