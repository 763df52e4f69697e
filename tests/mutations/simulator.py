"""Sagas of the examples and made-up ones, simulated until an invariant breaks; says which."""

from __future__ import annotations

import sys

from amends.testing.simulation.campaign import campaign
from amends.testing.simulation.system import Plan

SAGAS = 600

broken = campaign(Plan(seed=0, sagas=15, minutes=3), SAGAS)
if broken is not None:
    print(broken.broken[0])
sys.exit(broken is not None)
