"""In which form the core runs: interpreted, or as the extension modules that `make compile` made of it."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from amends.domain.errors import AmendsError

_PACKAGE: Final = Path(__file__).parent.parent


class StaleCore(AmendsError, ImportError):
    """The extension modules were made of other sources than those that are here."""


def core(package: Path = _PACKAGE) -> str:
    """`compiled` or `interpreted`. Raises `StaleCore` where a source is newer than what was compiled."""
    suffix = EXTENSION_SUFFIXES[0]
    if not (package / "domain" / f"evolve{suffix}").exists():
        return "interpreted"
    compiled = min(each.stat().st_mtime for each in package.rglob(f"*{suffix}"))
    newest = max(package.rglob("*.py"), key=lambda each: each.stat().st_mtime)
    if newest.stat().st_mtime > compiled:
        raise StaleCore(
            f"expected the compiled core to be newer than all sources; {newest.relative_to(package.parent)} was "
            "changed after it. Run `make compile` again, or `python -m compiling --remove` to go on without"
        )
    return "compiled"


CORE: Final = core()
