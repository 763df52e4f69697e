"""In which form the core runs: interpreted, or as the extension modules that `make compile` made of it."""

from __future__ import annotations

from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

from amends.domain.errors import AmendsError

MADE_OF: Final = "compiled.txt"
"""The file in the package that tells of which sources the extension modules were made; it is written last."""

_PACKAGE: Final = Path(__file__).parent.parent


class StaleCore(AmendsError, ImportError):
    """The extension modules were made of other sources than those that are here, or are not complete."""


def is_compiled(package: Path = _PACKAGE) -> bool:
    """Whether Python finds extension modules of the core."""
    return any((package / "domain").glob(f"*{EXTENSION_SUFFIXES[0]}"))


def digest(package: Path) -> str:
    """Tells one set of sources from another: SHA-256, hexadecimal, over the names and contents of all."""
    told = sha256()
    for path in sorted(package.rglob("[!.]*.py")):
        source = path.read_bytes()
        told.update(f"{path.relative_to(package).as_posix()} {len(source)}\n".encode() + source)
    return told.hexdigest()


def refuse_stale(package: Path = _PACKAGE) -> None:
    """Raises `StaleCore` where the core was compiled of other sources, or not to the end."""
    if not is_compiled(package):
        return
    made_of = package / MADE_OF
    if not made_of.exists() or made_of.read_text() != digest(package):
        raise StaleCore(
            "expected the compiled core to be made of the sources that are here; one was changed since, or compiling "
            "was cut off. Run `make compile` again, or `python -m compiling --remove` to go on without"
        )


CORE: Final = "compiled" if is_compiled() else "interpreted"
