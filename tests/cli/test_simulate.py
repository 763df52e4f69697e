"""`amends simulate`: what it prints, and its exit status."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner, Result

from amends.cli import simulating
from amends.cli.app import app
from amends.testing.simulation import campaign as campaigns
from amends.testing.simulation.system import Plan
from amends.testing.simulation.system import Result as Simulated


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments], env={"COLUMNS": "200"})


def test_it_ends_after_so_many_sagas_and_says_how_many_there_were_each_second() -> None:
    done = simulate(
        "--sagas", "6", "--at-once", "3", "--minutes", "0.5", "--scenario", "order", "--seed", "4"
    )
    assert done.exit_code == 0, done.output
    assert re.search(
        r"^6 sagas in 2 simulations, \d+ events, \d+ sagas/s: \d+ comp", done.output, re.MULTILINE
    )
    assert done.output.endswith("No invariant was broken.\n")


def test_without_faults_none_happen() -> None:
    done = simulate("--sagas", "2", "--fault", "none", "--scenario", "order")
    assert done.exit_code == 0
    assert "faults: \n" in done.output


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        ("--scenario", "ordr", "expected one of .*order.*random; got 'ordr'"),
        ("--fault", "fire", "expected one of crash, .*none; got 'fire'"),
        ("--package", "nowhere", "expected a package that can be imported; No module named 'nowhere'"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(option: str, given: str, expected: str) -> None:
    refused = simulate("--sagas", "1", option, given)
    assert refused.exit_code == 2
    assert re.search(f"{option}: {expected}", " ".join(refused.output.split()))


def test_a_broken_simulation_is_told_with_the_command_that_plays_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks_with_two_sagas(plan: Plan) -> Simulated:
        broken = ["10: published without a committed record"] if plan.sagas >= 2 else []
        return Simulated(plan, broken, sagas=plan.sagas)

    monkeypatch.setattr(campaigns, "simulate", breaks_with_two_sagas)
    broken = simulate("--seed", "7", "--at-once", "20")
    assert broken.exit_code == 1
    assert "10: published without a committed record" in broken.output
    assert broken.output.splitlines()[-1].startswith(
        "  amends simulate --seed 7 --sagas 2 --at-once 2 --minutes 0."
    )


def test_an_interrupt_ends_it_with_what_was_seen_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulating, "campaign", interrupted)
    done = simulate()
    assert done.exit_code == 0
    assert "0 sagas in 0 simulations" in done.output
