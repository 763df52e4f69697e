"""`amends simulate`: whole systems from a seed, with faults, every invariant watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer
from rich.console import Console

from amends.infrastructure.clock import SystemClock
from amends.testing.simulation.campaign import Totals, campaign, command, shrink
from amends.testing.simulation.faults import EVERY, Fault
from amends.testing.simulation.scenarios import scenarios
from amends.testing.simulation.system import Plan, Result

_EVERY: Final = timedelta(seconds=10)
out = Console()


def simulate(
    seed: Annotated[int, typer.Option(help="The first seed; every simulation takes the next one.")] = 0,
    sagas: Annotated[
        int | None, typer.Option(min=1, help="End after so many sagas. [default: go on for ever]")
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Sagas in each simulation.")] = 60,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Virtual minutes with faults in each simulation.")
    ] = 5.0,
    package: Annotated[str, typer.Option(help="Where saga types are looked for.")] = "amends.examples",
    scenario: Annotated[
        list[str] | None, typer.Option(help="A saga type, or random for made-up ones. [default: all]")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(Fault)}; or none. [default: all]")
    ] = None,
) -> None:
    """Simulate whole systems with faults, and check every invariant after each event, until one is broken.

    Ctrl-C ends it with the numbers so far. A failing simulation is made small, and printed as the command that plays
    it again; then the exit status is 1.
    """
    _check("--scenario", scenario or [], _known(package))
    _check("--fault", fault or [], [*Fault, "none"])
    faults = EVERY if fault is None else frozenset(Fault(each) for each in fault if each != "none")
    size = at_once if sagas is None else min(at_once, sagas)
    plan = Plan(seed, size, minutes, package, tuple(scenario or ()), faults)
    out.print(f"From seed {seed} on; Ctrl-C ends it.", highlight=False)
    progress = _Progress(sagas)
    try:
        broken = campaign(plan, sagas, progress.seen)
    except KeyboardInterrupt:
        broken = None
    progress.show()
    if broken is not None:
        _report(broken)
        raise typer.Exit(1)
    out.print("No invariant was broken.")


def _known(package: str) -> list[str]:
    try:
        return scenarios(package)
    except ModuleNotFoundError as error:
        raise typer.BadParameter(f"--package: expected a package that can be imported; {error}") from None


def _check(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    for each in given:
        if each not in known:
            raise typer.BadParameter(f"{option}: expected one of {', '.join(known)}; got {each!r}")


class _Progress:
    """Says from time to time how far it is, of `wanted` sagas; None: it goes on for ever."""

    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self._clock = SystemClock()
        self._began = self._shown = self._clock.now()
        self._totals = Totals()

    def seen(self, totals: Totals) -> None:
        """Called after each simulation."""
        self._totals = totals
        now: datetime = self._clock.now()
        if now - self._shown >= _EVERY:
            self._shown = now
            self.show()

    def show(self) -> None:
        """Print where it stands."""
        totals = self._totals
        rate = totals.sagas / max((self._clock.now() - self._began).total_seconds(), 0.001)
        ends = ", ".join(f"{number:,} {status}" for status, number in sorted(totals.statuses.items()))
        faults = ", ".join(f"{name} {number:,}" for name, number in sorted(totals.happened.items()))
        out.print(
            f"{totals.sagas:,} sagas in {totals.simulations:,} simulations, {totals.events:,} events, "
            f"[bold]{rate:,.0f} sagas/s[/bold]{self._left(rate)}: {ends}",
            highlight=False,
        )
        out.print(f"  [dim]faults: {faults}[/dim]", highlight=False)

    def _left(self, rate: float) -> str:
        """How long it will take at this rate."""
        if self._wanted is None or not rate or self._totals.sagas >= self._wanted:
            return ""
        return f", {timedelta(seconds=round((self._wanted - self._totals.sagas) / rate))} left"


def _report(broken: Result) -> None:
    out.print(
        f"[red]Broken[/red] with seed {broken.plan.seed}; looking for the smallest case.", highlight=False
    )
    try:
        smallest = shrink(broken)
    except KeyboardInterrupt:
        smallest = broken
    for each in smallest.broken[:10]:
        out.print(f"  {each}", highlight=False, markup=False)
    out.print("Play it again with:", highlight=False)
    out.print(f"  {command(smallest.plan)}", highlight=False, markup=False, soft_wrap=True)
