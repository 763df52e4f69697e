"""Many simulations, one seed after the other, until one breaks an invariant; that one is then made small."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from amends.testing.simulation.faults import EVERY
from amends.testing.simulation.system import Plan, Result, simulate

_SEEDS: Final = 20
"""Seeds tried with a smaller plan: with other sagas or faults, the same dice lead elsewhere."""


@dataclass
class Totals:
    """What all simulations so far came to."""

    simulations: int = 0
    sagas: int = 0
    events: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    happened: Counter[str] = field(default_factory=Counter[str])
    recorded: Counter[str] = field(default_factory=Counter[str])

    def add(self, result: Result) -> None:
        """Count one more."""
        self.simulations += 1
        self.sagas += result.sagas
        self.events += result.events
        self.statuses.update(result.statuses)
        self.happened.update(result.happened)
        self.recorded.update(result.recorded)


def campaign(plan: Plan, sagas: int | None, seen: Callable[[Totals], None] = lambda _: None) -> Result | None:
    """Simulate plan after plan, with rising seeds, until there were so many sagas (None: for ever).

    `seen` is told after each. Returns the first result that is broken, or nothing.
    """
    totals = Totals()
    with silence():
        for seed in count(plan.seed):
            if sagas is not None and totals.sagas >= sagas:
                break
            result = simulate(replace(plan, seed=seed))
            totals.add(result)
            seen(totals)
            if result.broken:
                return result
    return None


def shrink(result: Result) -> Result:
    """A smaller simulation in which the same invariant is broken: with fewer sagas, then with fewer faults."""
    with silence():
        smaller = next((found for plan in _smaller(result.plan) if (found := _breaks(plan, result))), None)
        while smaller is not None:
            result = smaller
            smaller = next(
                (found for plan in _smaller(result.plan) if (found := _breaks(plan, result))), None
            )
    return result


def command(plan: Plan) -> str:
    """The command that plays it again."""
    parts = [
        f"amends simulate --seed {plan.seed} --sagas {plan.sagas} --at-once {plan.sagas} --minutes {plan.minutes:g}"
    ]
    if plan.package != Plan(0).package:
        parts.append(f"--package {plan.package}")
    parts += [f"--scenario {name}" for name in plan.scenarios]
    if set(plan.faults) != EVERY:
        parts += [f"--fault {fault}" for fault in sorted(plan.faults)] or ["--fault none"]
    return " ".join(parts)


def _smaller(plan: Plan) -> Iterator[Plan]:
    for sagas in sorted({plan.sagas // 4, plan.sagas // 2, plan.sagas - 1} - {0, plan.sagas}):
        yield replace(plan, sagas=sagas)
    for fault in sorted(plan.faults):
        yield replace(plan, faults=frozenset(plan.faults) - {fault})
    if plan.minutes > 1:
        yield replace(plan, minutes=plan.minutes / 2)


def _breaks(plan: Plan, known: Result) -> Result | None:
    """The result of this plan, or of the same with one of the next seeds, where it breaks what is known to break."""
    numbers = _numbers(known.broken)
    results = (simulate(replace(plan, seed=seed)) for seed in range(plan.seed, plan.seed + _SEEDS))
    return next((result for result in results if numbers & _numbers(result.broken)), None)


def _numbers(broken: Sequence[str]) -> set[str]:
    """Which invariants: what stands before the colon."""
    return {each.partition(":")[0] for each in broken}


@contextmanager
def silence() -> Iterator[None]:
    """Keep production's logs quiet: in a simulation trouble is the rule."""
    log = logging.getLogger("amends")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
