"""In which form the core runs: interpreted, or as the extension modules that `make compile` made of it."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from amends.domain.errors import AmendsError

_PACKAGE: Final = Path(__file__).parent.parent


class StaleCore(AmendsError, ImportError):
    """The extension modules were made of other sources than those that are here."""


def is_compiled(package: Path = _PACKAGE) -> bool:
    """Whether Python finds extension modules of the core."""
    return (package / "domain" / f"evolve{EXTENSION_SUFFIXES[0]}").exists()


def refuse_stale(package: Path = _PACKAGE) -> None:
    """Raises `StaleCore` where a source is newer than what was compiled."""
    if not is_compiled(package):
        return
    compiled = min(each.stat().st_mtime for each in package.rglob(f"*{EXTENSION_SUFFIXES[0]}"))
    newest = max(package.rglob("*.py"), key=lambda each: each.stat().st_mtime)
    if newest.stat().st_mtime > compiled:
        raise StaleCore(
            f"expected the compiled core to be newer than all sources; {newest.relative_to(package.parent)} was "
            "changed after it. Run `make compile` again, or `python -m compiling --remove` to go on without"
        )


CORE: Final = "compiled" if is_compiled() else "interpreted"
