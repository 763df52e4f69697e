"""What `amends new` writes: a first saga, its service, its test, and an input to start it with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from amends.domain.errors import AmendsError

_FILES = ("orders.py", "test_orders.py", "order.json")


class WouldOverwrite(AmendsError):
    """A file that would be written exists already; nothing was written."""


def write_project(folder: Path) -> list[Path]:
    """Write the files. Raises `WouldOverwrite`."""
    targets = [folder / name for name in _FILES]
    present = [str(path) for path in targets if path.exists()]
    if present:
        raise WouldOverwrite(
            f"expected a folder without {', '.join(present)}; name another: amends new FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    templates = files("amends.cli") / "templates"
    for path in targets:
        path.write_text((templates / f"{path.name}.txt").read_text(encoding="utf-8"), encoding="utf-8")
    return targets
