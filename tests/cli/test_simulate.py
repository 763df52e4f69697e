"""`amends simulate`: what it prints, and its exit status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest
from typer.testing import CliRunner, Result

from amends.cli import simulating
from amends.cli.app import app
from amends.testing.simulation import campaign as campaigns
from amends.testing.simulation.system import Plan
from amends.testing.simulation.system import Result as Simulated

INTERRUPTED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
from amends.cli.app import app
from amends.testing.simulation.faults import Chance

at, calls = Chance.at, 0

def interrupted(self, program, label):
    global calls
    calls += 1
    if calls == int(os.environ["INTERRUPTED_AT"]):  # one of many programs is at work, others wait
        os.kill(os.getpid(), signal.SIGINT)
    return at(self, program, label)

Chance.at = interrupted
app(["simulate", "--at-once", "20", "--minutes", "1"])
"""


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


@pytest.mark.parametrize("at", [300, 1200, 3000])
def test_ctrl_c_in_the_middle_of_a_simulation_prints_the_numbers_so_far_and_nothing_else(at: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "COLUMNS": "200", "INTERRUPTED_AT": str(at)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert re.search(r"^\d+ sagas in \d+ simulations, .* sagas/s: .*\n  faults: ", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("No invariant was broken.\n")


def test_an_interrupt_while_the_smallest_case_is_looked_for_prints_the_case_that_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    broken = Simulated(Plan(seed=7, sagas=20), ["10: published without a committed record"])
    monkeypatch.setattr(simulating, "campaign", lambda *_: broken)
    monkeypatch.setattr(simulating, "shrink", interrupted)
    done = simulate("--seed", "7")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "  amends simulate --seed 7 --sagas 20 --at-once 20 --minutes 5"


def test_a_long_run_tells_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulating, "_EVERY", timedelta(0))
    done = simulate("--sagas", "40", "--at-once", "20", "--minutes", "0.5", "--scenario", "order")
    assert done.exit_code == 0
    assert re.search(
        r"^20 sagas in 1 simulations, \d+ events, \d+ sagas/s, 0:00:0\d left: ", done.output, re.MULTILINE
    )
