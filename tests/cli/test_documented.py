"""What the pages show of the commands is what the commands print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from amends.cli.app import app

PAGES = Path(__file__).parents[2] / "docs"
SHOWN = re.compile(r"^```console\n\$ amends (?P<command>.+)\n(?P<output>(?s:.*?))^```$", re.MULTILINE)


def shown() -> Iterator[tuple[str, str, str]]:
    for page in sorted(PAGES.glob("*.md")):
        for match in SHOWN.finditer(page.read_text(encoding="utf-8")):
            yield page.name, match["command"], match["output"]


@pytest.mark.parametrize(("page", "command", "output"), list(shown()))
def test_a_page_shows_what_the_command_prints(page: str, command: str, output: str) -> None:
    printed = CliRunner().invoke(app, shlex.split(command), env={"COLUMNS": "100"})
    assert printed.exit_code == 0, printed.output
    assert [line.rstrip() for line in printed.stdout.splitlines()] == output.splitlines(), (
        f"docs/{page} shows something else: paste the output of `COLUMNS=100 amends {command}`"
    )


def test_the_pages_show_something() -> None:
    assert len(list(shown())) >= 1
