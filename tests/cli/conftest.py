"""The command `amends` as a user runs it: programs in a folder with a module of the user's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from amends import Settings
from amends.infrastructure.embedded import Servers

WITHIN = 120


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Its output without line breaks, tables or double blanks."""
        return " ".join(self.out.split())

    @property
    def complaint(self) -> str:
        """Its errors without line breaks."""
        return " ".join(self.errors.split())


@dataclass(frozen=True)
class Shell:
    """A folder to run commands in, and the environment that they get."""

    folder: Path
    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict)

    def amends(self, *arguments: str, given: str = "", **settings: str) -> Said:
        """Run `amends` with these arguments; settings are named as in `AMENDS_…`, in lower case."""
        finished = subprocess.run(
            [sys.executable, "-m", "amends", *arguments],
            cwd=self.folder,
            env=self._environment(settings),
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        return Said(finished.returncode, finished.stdout, finished.stderr)

    @contextmanager
    def running(self, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command that stays, from when it says that it is ready; at the end it is told to stop."""
        with subprocess.Popen(
            [sys.executable, "-m", "amends", *arguments],
            cwd=self.folder,
            env=self._environment(settings),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                assert any("ready" in line for line in process.stdout)
                yield process
                process.send_signal(signal.SIGTERM)
                assert process.wait(WITHIN) == 0
            finally:
                process.kill()

    @contextmanager
    def background(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command beside others; at the end it is killed, if it still runs."""
        with subprocess.Popen(
            [sys.executable, "-m", "amends", *arguments],
            cwd=self.folder,
            env=self._environment({}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def start(self, key: str, fate: str = "fine", *options: str) -> Said:
        body = json.dumps({"errand": key, "fate": fate})
        return self.amends("start", "errand", "--input", "-", *options, given=body)

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        ours = {f"AMENDS_{name.upper()}": value for name, value in settings.items()}
        chosen = {
            "AMENDS_DATA_DIR": str(self.settings.data_dir),
            "AMENDS_NAMESPACE": self.settings.namespace,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "COLUMNS": "100",
        }
        return {**os.environ, **chosen, **self.environment, **ours}


@pytest.fixture(scope="session")
def bare(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with the module `errands`, in a namespace where nothing has run."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copy(Path(__file__).with_name("errands.py"), folder)
    (folder / "empty.py").touch()
    return Shell(folder, Settings(data_dir=servers.folder.home, namespace=f"t{token_hex(6)}"))


@pytest.fixture(scope="session")
def shell(bare: Shell) -> Iterator[Shell]:
    """The same folder in another namespace, where `amends up errands` runs."""
    settings = bare.settings.model_copy(update={"namespace": f"t{token_hex(6)}"})
    made = Shell(bare.folder, settings)
    with made.running("up", "errands"):
        yield made
