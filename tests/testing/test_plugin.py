"""The pytest plug-in, as a user's test run has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from amends.cli.project import write_project

ROOT = Path(__file__).parents[2]
HEAVY = ("pydantic", "psycopg", "nats", "eventsourcing", "structlog")


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As installed by the entry point, or without an installation."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:amends"]
    return subprocess.run(
        [*command, "-p", "amends.testing.plugin", *arguments],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop")
    return tmp_path / "shop"


def test_the_tests_of_a_new_project_pass_without_any_server(project: Path) -> None:
    done = run_pytest(project, "-k", "not service")
    assert done.returncode == 0, done.stdout
    assert not (project / ".amends").exists()


def test_one_flag_runs_them_on_real_servers(project: Path) -> None:
    done = run_pytest(project, "--amends-embedded", "-k", "not service")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_plug_in_costs_a_test_run_nothing_that_does_not_use_it() -> None:
    program = f"import sys, amends.testing.plugin; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_entry_point_names_the_plug_in() -> None:
    assert 'amends = "amends.testing.plugin"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
