"""A compiled core that is older than its sources is refused."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from amends.infrastructure.core import StaleCore, is_compiled, refuse_stale


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose core was compiled ten seconds after its sources were written."""
    domain = tmp_path / "amends" / "domain"
    domain.mkdir(parents=True)
    for name, written in (("evolve.py", 100), ("wire.py", 100), (f"evolve{EXTENSION_SUFFIXES[0]}", 110)):
        (domain / name).touch()
        os.utime(domain / name, (written, written))
    return domain.parent


def test_a_core_that_was_compiled_last_is_used(package: Path) -> None:
    refuse_stale(package)
    assert is_compiled(package)


@pytest.mark.parametrize("changed", ["evolve.py", "wire.py"])
def test_a_core_older_than_any_source_is_refused(package: Path, changed: str) -> None:
    """Of a module that is not compiled, too: the compiler has taken constants out of it."""
    os.utime(package / "domain" / changed, (120, 120))
    with pytest.raises(StaleCore, match=f"amends/domain/{changed} was changed after it. Run `make compile`"):
        refuse_stale(package)


def test_without_one_the_core_is_interpreted(package: Path) -> None:
    (package / "domain" / f"evolve{EXTENSION_SUFFIXES[0]}").unlink()
    os.utime(package / "domain" / "wire.py", (120, 120))
    refuse_stale(package)
    assert not is_compiled(package)
