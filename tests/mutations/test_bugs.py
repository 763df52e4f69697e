"""The list of deliberate bugs fits the code as it is now; `make mutations` plays them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_text_of_a_bug_occurs_once_in_its_file(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text()
    assert text.count(bug.old) == 1
    compile(text.replace(bug.old, bug.new), bug.file, "exec")


def test_bugs_have_names_of_their_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 12
