"""Becomes a server process: gives up root, asks to be told of the keeper's death, and executes the server.

Run by its path, as `python -I -S launcher.py KEEPER_PID SIGNAL UID GID PROGRAM ARGUMENT…`; UID -1 keeps the
user. It imports the standard library alone, so that a server starts at once.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    keeper, signal_number, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid != -1:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which would clear it. Other systems have no such call: there the next keeper stops
        # the server.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != keeper:
        sys.exit("the keeper is gone")
    os.umask(0o077)
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 - there is no shell, and the keeper made the arguments


if __name__ == "__main__":
    main()
