"""`amends whatif`: the check before a deployment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Shell


@pytest.fixture(scope="module")
def recorded(shell: Shell) -> Shell:
    """A folder with the next version, and two sagas of the present one: one went well, one was refused."""
    shutil.copy(Path(__file__).with_name("errands_next.py"), shell.folder)
    shell.start("asked-well", "fine", "--wait")
    shell.start("asked-in-vain", "refused", "--wait")
    return shell


def test_a_version_that_decides_the_same_passes(recorded: Shell) -> None:
    said = recorded.amends("whatif", "errands_next:Same", "--against", "errand@1", "--key", "asked-in-vain")
    assert said.status == 0
    assert "errand@2 decided 1 histories again" in said.words
    assert "1 would have gone the same" in said.words
    assert said.words.endswith("nothing unexpected")


def test_an_unexpected_difference_is_told_with_its_place_and_fails(recorded: Shell) -> None:
    said = recorded.amends("whatif", "errands_next:Polite", "--key", "asked-well")
    assert said.status == 1
    assert "added:thank would also send courier.thank for 'thank' (attempt 1)" in said.words
    assert "errand@1 asked-well: completed; would be running, waiting for thank" in said.words
    assert said.words.endswith("unexpected differences")
    told = recorded.amends("whatif", "errands_next:Polite", "--key", "asked-well", "--json")
    assert told.status == 1
    assert told.json["differences"] == {"added:thank": 1}
    [saga] = told.json["sagas"]
    assert (saga["key"], saga["ended"], saga["unexpected"]) == ("asked-well", "completed", True)
    assert saga["differences"][0]["version"] == 8


def test_an_intended_difference_passes(recorded: Shell) -> None:
    said = recorded.amends(
        "whatif", "errands_next:Polite", "--key", "asked-well", "--expect", "added:thank", "--json"
    )
    assert said.status == 0
    assert (said.json["differing"], said.json["unexpected"]) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("errands_next:Same", "--against", "order@x"), "expected a type such as order"),
        (
            ("errands_next:Same", "--against", "errand@7"),
            "NothingRecorded: expected histories to decide again",
        ),
        (("errands_next:Same", "--key", "nobody"), "NothingRecorded: expected histories to decide again"),
        (("errands_next:Same", "--expect", "thank"), "BadExpectation: expected KIND:STEP"),
        (("errands_next",), "NothingFound: expected one saga in 'errands_next', got"),
        (("empty",), "NothingFound: expected one saga in 'empty', got none"),
    ],
)
def test_bad_input(recorded: Shell, arguments: tuple[str, ...], complaint: str) -> None:
    said = recorded.amends("whatif", *arguments)
    assert (said.status, said.out) == (1, "")
    assert complaint in said.complaint
