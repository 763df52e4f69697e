"""Process managers of handlers with everything that can go wrong: learnt keys, early events, timeouts, rejections."""

from __future__ import annotations

import pytest

from amends.testing.simulation.system import Plan, simulate


@pytest.mark.parametrize("seed", range(3))
def test_no_invariant_is_broken_whatever_goes_wrong(seed: int) -> None:
    plan = Plan(seed=seed, sagas=15, minutes=2, scenarios=("fulfilment",), package="tests.domain.fulfilment")
    result = simulate(plan)
    assert result.broken == []
    assert result.statuses["completed"] > 0
