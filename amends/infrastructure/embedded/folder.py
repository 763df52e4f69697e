"""The data folder: what lies where in it, and what it records."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amends.infrastructure.embedded.account import Account
from amends.infrastructure.errors import EmbeddedUnavailable

# A socket's path has 104 bytes on macOS, 108 on Linux, with a zero at the end.
_LONGEST_SOCKET_PATH = 103
_POSTGRES_SOCKET = ".s.PGSQL.5432"

_HOMES = Path("/var/lib/amends")


class Folder:
    """The data folder, `.amends` by default. Made, with a record of its own, where it is missing.

    `home` holds what the servers own. It is the folder itself, but for one case: root runs the servers
    under another account, and where that account cannot reach the folder, because it lies below a private
    one, the home is made in /var/lib/amends and recorded here. The mode of a folder that was there before
    is never changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._make()

    def _make(self) -> None:
        if not self.path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise EmbeddedUnavailable(
                f"The data folder {self.path} belongs to user {owner}, and this is user {os.geteuid()}. Run "
                "Amends as "
                "its owner, or name another folder in AMENDS_DATA_DIR."
            )
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    def read(self, name: str) -> dict[str, Any]:
        """A record of the folder; empty where there is none."""
        try:
            found: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def write(self, name: str, **values: Any) -> None:
        """Change values of a record, all or none of them."""
        content = json.dumps({**self.read(name), **values}, indent=2)
        handle, unfinished = tempfile.mkstemp(dir=self.path, prefix=name)
        with os.fdopen(handle, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(self.path / f"{name}.json")

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock of the folder; waits for it. The system lets go of it when the process ends, however
        it ends.
        """
        handle = os.open(self.path / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @property
    def home(self) -> Path:
        return Path(self.read("folder").get("home", self.path))

    @property
    def postgres_data(self) -> Path:
        return self.home / "postgres"

    @property
    def nats_store(self) -> Path:
        return self.home / "nats"

    @property
    def sockets(self) -> Path:
        """Where PostgreSQL has its socket: private to the servers' account."""
        return self._short / "postgres" if self._short else self.home / "sockets"

    @property
    def keeper_socket(self) -> Path:
        return (self._short or self.path) / "keeper.sock"

    @property
    def _short(self) -> Path | None:
        """Where the sockets are if the folder's own path is too long for them."""
        recorded = self.read("short")
        # The folder's number is in the record, lest a copy of the folder finds the keeper of the original.
        return Path(recorded["path"]) if recorded.get("folder") == self.number else None

    @property
    def number(self) -> int:
        """Tells the folder from its copies."""
        return self.path.stat().st_ino

    def log(self, name: str) -> Path:
        return self.path / f"{name}.log"

    def settle(self, account: Account | None) -> None:
        """Find or make the home and the folder of the sockets. For the keeper alone, which holds the lock."""
        self._settle_short()
        self._settle_home(account)
        self._own(self.sockets, account)

    def _settle_home(self, account: Account | None) -> None:
        recorded = self.read("folder").get("home")
        if recorded is not None:
            if not Path(recorded).is_dir():
                raise EmbeddedUnavailable(
                    f"The data of {self.path} was kept in {recorded}, and that folder is gone. Bring it "
                    "back, or "
                    f"delete {self.path} to begin with empty servers."
                )
            return
        if account is not None and not self._own(self.path / "nats", account):
            (self.path / "nats").rmdir()
            self.write("folder", home=str(self._home_elsewhere(account)))

    def _own(self, folder: Path, account: Account | None) -> bool:
        """Make a folder that the servers' account alone can use. False: it cannot reach it."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if account is None:
            return True
        os.chown(folder, account.uid, account.gid)
        return account.can_write(folder)

    def _home_elsewhere(self, account: Account) -> Path:
        own_umask = os.umask(0o022)  # the account must pass through
        try:
            _HOMES.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unreachable(account, str(error)) from error
        finally:
            os.umask(own_umask)
        status = _HOMES.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
            raise self._unreachable(account, f"{_HOMES} is not a folder that only root can write")
        home = _HOMES / secrets.token_hex(8)
        home.mkdir()
        home.chmod(0o711)
        (home / "README").write_text(f"Servers of {self.path}. Delete the two together.\n")
        if not self._own(home / "nats", account):
            shutil.rmtree(home)
            raise self._unreachable(account, f"it cannot reach {home} either")
        return home

    def _unreachable(self, account: Account, reason: str) -> EmbeddedUnavailable:
        return EmbeddedUnavailable(
            f"As root, Amends runs its servers under the account {account.name}, which cannot reach "
            f"{self.path}; and "
            f"{reason}. Name a folder within its reach in AMENDS_DATA_DIR, run Amends as an ordinary user, "
            "or set "
            "AMENDS_DATABASE_URL and AMENDS_NATS_URL to servers of your own."
        )

    def _settle_short(self) -> None:
        longest = max(self.path / "sockets" / _POSTGRES_SOCKET, self.path / "keeper.sock", key=_length)
        if _length(longest) > _LONGEST_SOCKET_PATH and not (self._short and _ours(self._short)):
            self.write("short", path=str(_short_folder()), folder=self.number)

    def delete(self) -> None:
        """Delete the folder with everything that belongs to it, once its keeper has stopped the servers."""
        with self.locked("keeper"):
            for elsewhere in (self.home, self._short):
                if elsewhere and elsewhere != self.path and _ours(elsewhere):
                    shutil.rmtree(elsewhere)
            shutil.rmtree(self.path)


def _length(path: Path) -> int:
    return len(os.fsencode(path))


def _short_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="amends-", dir="/tmp"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


def _ours(folder: Path) -> bool:
    """Whether the folder is there and ours: in /tmp it may have been cleaned away, and made by somebody
    else.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
