"""Time, chance and foreign libraries enter through one door: `amends.infrastructure`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "amends"

IMPURE_MODULES = frozenset({"random", "secrets", "time"})
IMPURE_CALLS = frozenset(
    {
        "asyncio.sleep",
        "asyncio.to_thread",
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.uuid7",
    }
)
DOMAIN_MAY_IMPORT = frozenset(
    {"amends", "pydantic", "pydantic_core", "typing_extensions", "eventsourcing.domain"}
)


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders or ("",):
        yield from sorted((PACKAGE / folder).rglob("*.py"))


def imported_names(tree: ast.AST) -> dict[str, str]:
    """Each name that an import binds, with the full name of what it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, names)
        return f"{owner}.{node.attr}" if owner else None
    return None


def impurities(source: str, path: str) -> list[str]:
    """Every use of the clock, of chance or of a thread in this source, as `file:line: name`."""
    tree = ast.parse(source)
    names = imported_names(tree)
    found: list[str] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        name = full_name(node, names)
        if name and (name in IMPURE_CALLS or name.partition(".")[0] in IMPURE_MODULES):
            found.append(f"{path}:{node.lineno}: {name}")
    return found


def foreign_imports(source: str, path: str) -> list[str]:
    """Every import of something that is neither Python's own nor allowed to the domain, as `file:line: name`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        else:
            continue
        for module in modules:
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and not {top, module} & DOMAIN_MAY_IMPORT:
                found.append(f"{path}:{node.lineno}: {module}")
    return found


@pytest.mark.semantics("clock")
def test_only_the_infrastructure_touches_clock_chance_and_threads() -> None:
    found = [
        line
        for path in sources()
        if path.relative_to(PACKAGE).parts[0] != "infrastructure"
        for line in impurities(path.read_text(), str(path.relative_to(PACKAGE.parent)))
    ]
    assert not found, "take it from amends.infrastructure instead:\n" + "\n".join(found)


def test_the_domain_imports_only_its_own_kind() -> None:
    found = [
        line
        for path in sources("domain")
        for line in foreign_imports(path.read_text(), str(path.relative_to(PACKAGE.parent)))
    ]
    assert not found, f"the domain may import {sorted(DOMAIN_MAY_IMPORT)} only:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def f(): await asyncio.sleep(1)",
        "from asyncio import to_thread as thread\nthread(print)",
        "import time\ntime.monotonic()",
        "from time import perf_counter\nperf_counter()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.utcnow()",
        "from uuid import uuid4\nfield(default_factory=uuid4)",
        "import random\nrandom.random()",
    ],
)
def test_the_search_sees_it(source: str) -> None:
    assert len(impurities(source, "f.py")) >= 1


@pytest.mark.parametrize(
    "source", ["from uuid import UUID, uuid5\nuuid5(UUID(int=0), 'a')", "self.time.now()"]
)
def test_the_search_sees_no_ghosts(source: str) -> None:
    assert impurities(source, "f.py") == []
