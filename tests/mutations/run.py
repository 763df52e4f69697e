"""Plays each deliberate bug in a copy of the tree, until the simulator or a property test finds it.

    python tests/mutations/run.py [WORD…]     only those whose name holds one of the words

Ends with status 1 where a bug is found by nothing, and with 2 where a check fails without any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mutations.bugs import BUGS, Bug

ROOT: Final = Path(__file__).parents[2]
WITHIN: Final = 1800
"""Seconds after which a check that does not end has found something."""

CHECKS: Final = {
    "simulator": [sys.executable, "tests/mutations/simulator.py"],
    "property tests": [
        *(sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout", "0"),
        "tests/domain/test_any_sequence.py",
    ],
}


def main(words: list[str]) -> int:
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    out = Console()
    check, said = play(None)
    if check:
        out.print(f"the {check} fail without any bug: {said}", markup=False)
        return 2
    table = Table("bug", "found by", "what it said", "seconds")
    survived = 0
    for bug in chosen:
        began = time.monotonic()
        check, said = play(bug)
        survived += not check
        seconds = f"{time.monotonic() - began:.0f}"
        table.add_row(bug.name, check or "[red]nothing[/red]", said, seconds)
        out.print(f"{bug.name}: {check or '[red]survived[/red]'} ({seconds} s)", highlight=False)
    out.print(table)
    return 1 if survived else 0


def play(bug: Bug | None) -> tuple[str, str]:
    """The check that found it, and what that said; nothing where none did."""
    with tempfile.TemporaryDirectory(prefix="amends-mutation-") as folder:
        copy = Path(folder)
        for name in ("amends", "tests"):
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "compiled.txt")
            )
        shutil.copy(ROOT / "pyproject.toml", copy)
        if bug is not None:
            file = copy / bug.file
            file.write_text(file.read_text().replace(bug.old, bug.new))
        for check, command in CHECKS.items():
            said = fails(command, copy)
            if said is not None:
                return check, said
    return "", ""


def fails(command: list[str], where: Path) -> str | None:
    """What a check says that fails; nothing where it does not."""
    environment = {**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=where, env=environment, capture_output=True, text=True, timeout=WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        return "does not end"
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E  ")] or lines
    return (
        telling[-1].removeprefix("E").strip()[:100] if command is not CHECKS["simulator"] else lines[0][:100]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
