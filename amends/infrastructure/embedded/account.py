"""The unprivileged account under which the servers run when Amends runs as root."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from amends.infrastructure.errors import EmbeddedUnavailable

# PostgreSQL refuses to run as root, and initdb wants an account with a name. No user is added to the
# machine: `nobody` is on every one, and owns nothing there. An account `postgres` is passed by on purpose:
# where there is one, a real cluster belongs to it, which our server could then read and ours could be read
# by.
_CANDIDATES = ("nobody", "daemon")


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    def can_run(self, program: Path) -> bool:
        """Whether the account reaches and executes the program. Tried, since modes alone do not tell (ACL,
        noexec).
        """
        try:
            return self._run([str(program), "--version"])
        except PermissionError:
            return False

    def can_write(self, folder: Path) -> bool:
        """Whether the account reaches the folder and may write there."""
        return self._run(["/bin/sh", "-c", 'cd -- "$1" && test -w .', "sh", str(folder)])

    def _run(self, arguments: list[str]) -> bool:
        result = subprocess.run(  # noqa: S603 - its arguments are our own
            arguments,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
        return result.returncode == 0


def server_account() -> Account | None:
    """Whom the servers run as: None, the present user, unless that is root. Raises EmbeddedUnavailable."""
    if os.geteuid() != 0:
        _check_named(os.geteuid())
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedUnavailable(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(_CANDIDATES)} is on this "
        "machine. Run "
        "Amends as an ordinary user, or set AMENDS_DATABASE_URL and AMENDS_NATS_URL to servers of your own."
    )


def _check_named(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedUnavailable(
            f"PostgreSQL runs only for a user with a name, and user {uid} has none on this machine: add a "
            "line for it "
            "to /etc/passwd, or set AMENDS_DATABASE_URL and AMENDS_NATS_URL to servers of your own."
        ) from None
