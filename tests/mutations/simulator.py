"""Sagas of the examples and made-up ones, simulated until an invariant breaks; says which."""

from __future__ import annotations

import sys

from amends.testing.simulation.campaign import campaign
from amends.testing.simulation.system import Plan

CAMPAIGNS = (
    (Plan(seed=0, sagas=15, minutes=3), 1000),
    (Plan(seed=0, sagas=15, minutes=3, scenarios=("fulfilment",), package="tests.domain.fulfilment"), 150),
    (Plan(seed=0, sagas=15, minutes=3, scenarios=("order-choreographed", "travel-choreographed")), 1000),
    (Plan(seed=0, sagas=10, minutes=3, scenarios=("random",)), 1000),
)
"""How many sagas of what: of everything, of a process manager with all that there is, of chains, of made-up ones."""

for plan, sagas in CAMPAIGNS:
    broken = campaign(plan, sagas)
    if broken is not None:
        print(broken.broken[0])
        sys.exit(1)
