"""A compiled core that was made of other sources is refused."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from amends.infrastructure.core import MADE_OF, StaleCore, digest, is_compiled, refuse_stale
from compiling import modules

COMPILED = f"evolve{EXTENSION_SUFFIXES[0]}"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that was compiled."""
    package = tmp_path / "amends"
    (package / "domain").mkdir(parents=True)
    for name in ("evolve.py", "wire.py"):
        (package / "domain" / name).write_text(f"NAME = {name!r}")
    (package / "domain" / COMPILED).touch()
    (package / MADE_OF).write_text(digest(package))
    return package


def test_a_core_that_was_made_of_these_sources_is_used(package: Path) -> None:
    refuse_stale(package)
    assert is_compiled(package)


@pytest.mark.parametrize("changed", ["evolve.py", "wire.py", "new.py"])
def test_a_core_that_was_made_of_others_is_refused(package: Path, changed: str) -> None:
    """Of a module that is not compiled, too: the compiler has taken constants out of it."""
    (package / "domain" / changed).write_text("NAME = None")
    with pytest.raises(StaleCore, match="Run `make compile` again"):
        refuse_stale(package)


def test_a_core_whose_source_is_gone_is_refused(package: Path) -> None:
    (package / "domain" / "evolve.py").unlink()
    with pytest.raises(StaleCore, match="Run `make compile` again"):
        refuse_stale(package)


def test_a_core_that_was_not_compiled_to_the_end_is_refused(package: Path) -> None:
    (package / MADE_OF).unlink()
    with pytest.raises(StaleCore, match="compiling was cut off"):
        refuse_stale(package)


def test_without_one_the_core_is_interpreted(package: Path) -> None:
    (package / "domain" / COMPILED).unlink()
    (package / "domain" / "wire.py").write_text("NAME = None")
    refuse_stale(package)
    assert not is_compiled(package)


def test_who_compiles_writes_what_is_compared() -> None:
    assert modules.MADE_OF == MADE_OF
