"""The command `amends`: thin over the worker, the participants, the client and the read side."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command. A user's own modules are looked for in the working directory first."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        from amends.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("amends"):
            raise
        sys.exit(f"amends: {error.name} is not installed; install the command with `amends[all]`")
    except KeyboardInterrupt:
        sys.exit(130)
    run()
