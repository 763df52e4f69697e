"""The pages in docs/ and the code say the same: a name that is in one of them alone fails here."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
import typer

from amends import Settings
from amends.cli.app import app
from amends.domain import wire
from amends.domain.events import EVENT_TYPES
from amends.domain.state import Status
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.broker import streams
from amends.process_managers.outgoing import MILESTONES
from amends.projections.story import _SENTENCES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CODE = re.compile(r"`([^`\n]+)`")
HEADER = re.compile(r"\b(?:Amends-[A-Z][A-Za-z-]*[a-z]|Nats-Msg-Id)\b|\bce-[a-z]+\b")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def first_cells(text: str, heading: str = "") -> list[str]:
    """What stands in backquotes in the first column of the tables below a heading."""
    section = text.partition(heading)[2].partition("\n## ")[0] if heading else text
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [word for row in rows for word in CODE.findall(row)]


def code_words(text: str) -> set[str]:
    return set(CODE.findall(text))


HEADERS = {
    value
    for value in vars(wire).values()
    if isinstance(value, str) and (HEADER.fullmatch(value) or value in {wire.TRACEPARENT, wire.TRACESTATE})
}


def test_every_header_is_explained() -> None:
    assert len(HEADERS) > 20
    assert code_words(page("protocol")) >= HEADERS


@pytest.mark.parametrize("name", [each.stem for each in PAGES])
def test_no_page_names_a_header_that_does_not_exist(name: str) -> None:
    assert set(HEADER.findall(page(name))) - {wire.TRACEPARENT, wire.TRACESTATE} <= HEADERS


def test_every_subject_stands_beside_its_stream() -> None:
    subjects = {
        wire.command_subject("ns", "<service>.<action>"): "commands",
        wire.event_subject("ns", "<service>.<what>"): "events",
        wire.saga_subject("ns", "<type>", "<milestone>"): "sagas",
        wire.dead_subject("ns", "<where>"): "dead",
    }
    told = page("protocol")
    assert first_cells(told, "## Subjects and streams") == list(subjects)
    assert {wire.stream("ns", what) for what in subjects.values()} == {
        each.name for each in streams("ns", timedelta(days=7))
    }
    for subject, what in subjects.items():
        assert f"| `{subject}` | `<NS>{wire.stream('ns', what).removeprefix('NS')}` |" in told


def test_requests_go_where_the_page_says() -> None:
    assert "`ns.svc.act.<type>.<version>`" in page("protocol")
    assert wire.action_subject("ns", "<type>", 1) == "ns.svc.act.<type>.1"


def test_replies_go_where_the_page_says() -> None:
    done, rejected, failed = wire.reply_subjects("<service>.<action>", "")
    for subject in (done, rejected, failed):
        assert f"`{wire.event_subject('ns', subject)}`" in page("protocol")


def test_every_milestone_is_named() -> None:
    told = re.search(r"^Milestones: (.+?)\.", page("protocol"), re.MULTILINE)
    assert told is not None
    assert CODE.findall(told[1]) == list(dict.fromkeys(MILESTONES.values()))


def test_every_event_is_explained_and_has_a_sentence() -> None:
    assert sorted(first_cells(page("semantics"), "## What is recorded")) == sorted(EVENT_TYPES)
    assert set(_SENTENCES) == set(EVENT_TYPES.values())


def test_every_status_outcome_and_direction_is_explained() -> None:
    told = page("semantics")
    assert first_cells(told, "## A saga's life") == [str(status) for status in Status]
    assert first_cells(told, "## Steps")[: len(Outcome)] == [str(outcome) for outcome in Outcome]
    assert code_words(page("protocol")) >= {str(direction) for direction in Direction}


def test_the_settings_are_those_of_the_class() -> None:
    rows = re.findall(r"^\| `AMENDS_(\w+)` \| (.+?) \|", page("settings"), re.MULTILINE)
    assert [name.lower() for name, _ in rows] == list(Settings.model_fields)
    for name, told in rows:
        default = Settings.model_fields[name.lower()].default
        assert not default or told == f"`{default}`", name


def test_every_command_is_listed_and_no_other() -> None:
    commands = set(typer.main.get_group(app).commands)
    assert {each.split()[1] for each in first_cells(page("commands"))} == commands
    for each in PAGES:
        named = {word.split()[1] for word in code_words(each.read_text()) if re.match(r"amends [a-z]", word)}
        assert named <= commands, each.name


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[)#]", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = re.findall(r"^- \[.+?\]\((\w+)\.md\)", page("README"), re.MULTILINE)
    assert sorted(listed) == sorted(each.stem for each in PAGES if each.stem != "README")


def test_pages_that_the_code_names_exist() -> None:
    named = {
        name
        for path in (ROOT / "amends").rglob("*.py")
        for name in re.findall(r"docs/(\w+)\.md", path.read_text(encoding="utf-8"))
    }
    assert {"semantics", "protocol"} <= named <= {each.stem for each in PAGES}


def test_the_readme_shows_what_new_writes() -> None:
    """A shorter version of it: line for line, and in this order."""
    templates = ROOT / "amends" / "cli" / "templates"
    written = [path.read_text(encoding="utf-8").splitlines() for path in sorted(templates.glob("*.txt"))]
    shown = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(shown) >= 3
    for block in shown:
        lines = [line for line in block.splitlines() if line.strip()]
        assert any(in_order(lines, template) for template in written), block


def test_the_extras_that_are_named_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra
        for path in [*PAGES, ROOT / "README.md", *(ROOT / "amends").rglob("*.py")]
        for extra in re.findall(r"\bamends\[(\w+)\]", path.read_text(encoding="utf-8"))
    }
    assert {"worker", "all", "embedded"} <= named <= set(extras)


def in_order(lines: list[str], text: list[str]) -> bool:
    rest = iter(text)
    return all(line in rest for line in lines)
