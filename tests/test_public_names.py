"""What users import: the names themselves, and what must be installed for them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import amends
from amends import AmendsError
from amends.infrastructure.core import CORE

ROOT = Path(__file__).parent.parent

PUBLIC = {
    "amends": {
        "Action", "ActionRefused", "AmendsError", "Breaker", "Choreography", "Client", "Command", "Done", "Event",
        "Failed", "Foreign", "Limit", "Migration", "NoReply", "NotFinished", "NotStarted", "Participant",
        "ProcessManager", "Rejected",
        "Rejection", "Retry", "Saga", "Settings", "Tx", "Worker", "also_known_as", "announce", "cancel_timeout",
        "compensate", "complete", "link", "on", "on_rejected", "on_timeout", "publish", "send", "starts", "step",
        "timeout", "wait_for",
    },
    "amends.operating": {
        "Abandon", "Cancel", "Choice", "Migrate", "Operating", "Release", "Reschedule", "Resume", "Retry",
        "Settle", "Skip", "Suspend",
    },
    "amends.participant": {"Failed", "Participant", "Rejected", "Tx"},
    "amends.testing": {"Asked", "BadScript", "SagaTest", "Scenario"},
}  # fmt: skip

FOR_PARTICIPANTS = {"Command", "Done", "Event", "Failed", "Participant", "Rejected", "Settings", "Tx"}
"""What a service needs that only answers commands; it must import without the extras."""

BLOCKED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def without_extras(program: str) -> subprocess.CompletedProcess[str]:
    """Run Python as where `amends` is installed without extras."""
    code = BLOCKED.format(absent=sorted(optional_modules())) + program
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def optional_modules() -> set[str]:
    """The top modules of all that the extras install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {
        re.split(r"[^A-Za-z0-9-]", requirement, maxsplit=1)[0]
        for extra, requirements in project["optional-dependencies"].items()
        for requirement in requirements
        if extra != "all"
    }
    assert {"eventsourcing", "rich", "typer", "uvloop"} <= names
    return {name.replace("-", "_") for name in names}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_exported_names_are_these(module: str) -> None:
    assert set(getattr(importlib.import_module(module), "__all__", ())) == PUBLIC[module]


def test_every_exported_name_can_be_had_and_others_are_refused() -> None:
    assert all(getattr(amends, name).__name__ for name in amends.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Sagas'"):
        amends.Sagas  # noqa: B018 - asking for it is the test


@pytest.mark.parametrize("name", sorted(FOR_PARTICIPANTS))
def test_a_participant_needs_no_extras_for(name: str) -> None:
    done = without_extras(f"from amends import {name}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Worker", "Client"])
def test_what_needs_an_extra_says_which(name: str) -> None:
    done = without_extras(f"from amends import {name}")
    assert done.returncode == 1
    assert (
        f"amends.{name} needs eventsourcing, which is not installed; install it with `amends[worker]`"
        in done.stderr
    )


def test_the_command_without_its_extra_says_what_to_install() -> None:
    done = without_extras("from amends.cli import main; main()")
    assert done.returncode == 1
    assert re.search(r"^amends: \w+ is not installed; install the command with `amends\[all\]`$", done.stderr)


def exceptions() -> Iterator[type[Exception]]:
    """Every exception that is defined in the package."""
    for module in pkgutil.walk_packages(amends.__path__, "amends."):
        if module.name.endswith("__main__"):
            continue
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, Exception) and value.__module__ == module.name:
                yield value


def test_every_exception_is_an_amends_error_with_a_sentence_for_its_cause() -> None:
    found = {error for error in exceptions() if not error.__name__.startswith("_")}
    assert len(found) > 20
    assert [error.__qualname__ for error in found if not issubclass(error, AmendsError)] == []
    if CORE == "interpreted":  # a compiled class has no docstring
        assert [error.__qualname__ for error in found if not (error.__doc__ or "").strip()] == []
