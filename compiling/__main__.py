"""Compiles the core in place: the extension modules stand beside their sources, and Python prefers them.

Needs a C compiler and Python's headers. After a change of any source it must be compiled anew: until then Amends
refuses to be imported (`StaleCore`). `python -m compiling --remove` removes what was compiled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from compiling.modules import MADE_OF, MODULES
from compiling.values import written_out

ROOT: Final = Path(__file__).parent.parent
BUILD: Final = ROOT / "build" / "compiled"

CANNOT: Final = 3

_MYPY: Final = """\
[mypy]
plugins = pydantic.mypy
ignore_missing_imports = True
"""


def main() -> int:
    """Status 1 where compiling fails, `CANNOT` where what it needs is missing; which, and why, on stderr."""
    if "--remove" in sys.argv[1:]:
        remove()
        return 0
    if missing := _missing():
        print(f"make compile: {missing}; Amends runs without, interpreted", file=sys.stderr)
        return CANNOT
    remove()  # first: with one that is stale the package cannot be imported
    _lay_out()
    arguments = [sys.executable, "-m", "mypyc", "--config-file", "mypy.ini", *MODULES]
    done = subprocess.run(
        arguments, cwd=BUILD, env=_environment(), check=False, capture_output=True, text=True
    )
    built = [each for each in BUILD.rglob("*.so") if each.relative_to(BUILD).parts[0] != "build"]
    if done.returncode or len(built) != len(MODULES) + 1:  # one holds what they share
        print(f"make compile: the compiler failed\n{done.stdout}{done.stderr}", file=sys.stderr)
        return 1
    for path in (*built, BUILD / "amends" / MADE_OF):
        shutil.copy(path, ROOT / path.relative_to(BUILD))
    print(f"compiled {len(MODULES)} modules of the core")
    return 0


def remove() -> None:
    """Remove the extension modules of an earlier build."""
    for built in (*ROOT.glob("*__mypyc.*.so"), *(ROOT / "amends").rglob("*.so")):
        built.unlink()
    (ROOT / "amends" / MADE_OF).unlink(missing_ok=True)


def _missing() -> str:
    """What there must be, and is not."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    command = compiler.split()[0]
    if shutil.which(command) is None:
        return f"expected a C compiler, and {command} is not installed"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"expected Python's headers (on Debian: python3-dev), and there is no {header}"
    return ""


def _lay_out() -> None:
    """A copy of the package, in which the values' methods are written out."""
    from amends.infrastructure.core import digest

    shutil.rmtree(BUILD, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "amends", BUILD / "amends", ignore=ignored)
    (BUILD / "amends" / MADE_OF).write_text(digest(BUILD / "amends"))
    (BUILD / "mypy.ini").write_text(_MYPY)
    for module in MODULES:
        path = BUILD / module
        path.write_text(written_out(path.read_text()))


def _environment() -> dict[str, str]:
    quick = {"MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0"}
    return {**quick, **os.environ, "PYTHONPATH": str(BUILD)}


if __name__ == "__main__":
    sys.exit(main())
