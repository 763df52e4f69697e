"""Every rule of docs/semantics.md has a test that is marked with its name, and every such mark has a rule."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
NAME = re.compile(r'<a id="([a-z0-9-]+)"></a>')
LIST_ITEM = re.compile(r"(?:- |\d+\. )")
WORDS = "Words"
NOT_BUILT = "Not built yet"


def sections(page: str) -> dict[str, str]:
    """The text under each heading, without what comes before the first."""
    titles_and_texts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)[1:]
    return dict(zip(titles_and_texts[::2], titles_and_texts[1::2], strict=True))


def nameless(text: str) -> Iterator[str]:
    """The rules of a section that have no name: paragraphs, list items and cells of tables.

    A paragraph that ends in a colon leads to what follows it. A table in which no cell has a name explains words.
    """
    for block in text.strip().split("\n\n"):
        if block.startswith("|"):
            yield from _nameless_cells(block)
        else:
            is_list = LIST_ITEM.match(block) is not None
            rules = [LIST_ITEM.sub("", line, count=1) for line in block.splitlines()] if is_list else [block]
            yield from (rule for rule in rules if not (NAME.match(rule) or rule.endswith(":")))


def _nameless_cells(table: str) -> Iterator[str]:
    rows = [re.split(r"(?<!\\)\|", row)[2:-1] for row in table.splitlines()[2:]]
    cells = [cell.strip() for row in rows for cell in row]
    if NAME.search(table):
        yield from (cell for cell in cells if not NAME.match(cell))


def marks(source: str) -> Iterator[str]:
    """The names with which the tests of a module are marked."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.semantics":
                    yield from (ast.literal_eval(name) for name in mark.args)


RULES = {title: NAME.findall(text) for title, text in sections(PAGE).items()}
BUILT = {name for title, names in RULES.items() if title != NOT_BUILT for name in names}
MARKED = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in marks(path.read_text(encoding="utf-8"))
}


def test_every_rule_has_a_name() -> None:
    assert [rule for title, text in sections(PAGE).items() if title != WORDS for rule in nameless(text)] == []


def test_a_name_stands_for_one_rule() -> None:
    assert [name for name, times in Counter(NAME.findall(PAGE)).items() if times > 1] == []


def test_every_rule_has_a_test() -> None:
    assert sorted(BUILT - MARKED) == []


def test_every_mark_names_a_rule_that_is_built() -> None:
    assert sorted(MARKED - BUILT) == []


def test_the_search_sees_what_is_missing() -> None:
    text = """
<a id="a"></a>Named.

Not named.

What leads on:

- <a id="b"></a>Named.
- Not named, either.

| row | one | other |
| --- | --- | --- |
| x | <a id="c"></a>named | nor this |
"""
    assert list(nameless(text)) == ["Not named.", "Not named, either.", "nor this"]


def test_the_search_sees_marks_on_tests_alone() -> None:
    source = """
@pytest.mark.semantics("a", "b")
async def test_it(): ...

@pytest.mark.semantics("c")
def helper(): ...
"""
    assert list(marks(source)) == ["a", "b"]
