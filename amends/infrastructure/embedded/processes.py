"""Processes that are not children of ours: who they are, and how to end them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_KILLED_WITHIN = 10.0

# Not asked of sys.platform at each place: type checkers would then look at one half of this file only.
_LINUX = Path("/proc/self/stat").exists()


def begun(pid: int) -> str | None:
    """When the process began, as the system writes it; None: there is none (a zombie is none).

    Together with the pid it names a process for ever, since pids are used again.
    """
    if _LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    return _ps(pid, "lstart=")


def command(pid: int) -> str:
    """The command line of the process, "" where there is none."""
    if _LINUX:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return _ps(pid, "command=") or ""


def _ps(pid: int, column: str) -> str | None:
    result = subprocess.run(  # noqa: S603 - its arguments are our own
        ["/bin/ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or None


def stop(pid: int, since: str, gently: signal.Signals, patience: float) -> None:
    """End the process `pid` that began at `since`: with the signal `gently`, after `patience` seconds with
    SIGKILL.
    """
    for number, seconds in ((gently, patience), (signal.SIGKILL, _KILLED_WITHIN)):
        if begun(pid) != since:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone(pid, since, seconds):
            return
    raise TimeoutError(f"process {pid} does not end, not even by SIGKILL")


def _gone(pid: int, since: str, seconds: float) -> bool:
    if _LINUX:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            select.select([handle], [], [], seconds)
        finally:
            os.close(handle)
        return begun(pid) != since
    deadline = time.monotonic() + seconds  # there is nothing to wait on for a process that is not a child
    while begun(pid) == since and time.monotonic() < deadline:
        time.sleep(0.05)
    return begun(pid) != since
