"""`amends replay` and `amends diff`: the past, from the histories alone."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Shell


@pytest.fixture(scope="module")
def refused(shell: Shell) -> str:
    """The key of an errand that was refused at the door, and undone."""
    shell.start("past", "refused", "--wait")
    return "past"


def test_replay_prints_each_event_and_what_it_changed(shell: Shell, refused: str) -> None:
    said = shell.amends("replay", refused)
    assert said.status == 0
    assert "1 2" in said.words[:8]
    assert "errand past started, because of the event errands.asked + id:" in said.words
    assert (
        "turned back, to undo what happened or may have: deliver: rejected: nobody opened the door "
        "~ status: running → compensating + reason: deliver: rejected: nobody opened the door"
    ) in said.words
    played = shell.amends("replay", refused, "--json").json
    assert [event["version"] for event in played] == list(range(1, 12))
    assert {"path": "status", "before": "running", "after": "compensating"} in played[7]["changed"]


def test_replay_shows_the_state_as_it_was(shell: Shell, refused: str) -> None:
    said = shell.amends("replay", refused, "--version", "4")
    assert "status running" in said.words
    assert "fetch done" in said.words
    assert "deliver still to come" in said.words
    told = shell.amends("replay", refused, "--version", "8", "--json").json
    assert (told["version"], told["status"]) == (8, "compensating")
    assert told["steps"]["fetch"]["succeeded"]


def test_at_an_instant_all_has_happened_that_was_recorded_with_it(shell: Shell, refused: str) -> None:
    told = shell.amends("history", refused, "--json").json
    at = told[3]["at"]
    version = max(event["version"] for event in told if event["at"] == at)
    assert (
        shell.amends("replay", refused, "--at", at).out
        == shell.amends("replay", refused, "--version", str(version)).out
    )


def test_diff_tells_what_became_different(shell: Shell, refused: str) -> None:
    said = shell.amends("diff", refused, "8", "11")
    assert "~ status: compensating → compensated" in said.words
    assert "+ steps.fetch.compensation.rounds.1.answer: succeeded" in said.words
    changed = shell.amends("diff", refused, "8", "11", "--json").json
    assert {"path": "status", "before": "compensating", "after": "compensated"} in changed
    assert shell.amends("diff", refused, "8", "8").out == "nothing is different\n"


def test_replay_of_the_whole_system_counts_the_sagas_that_were_there(shell: Shell, refused: str) -> None:
    end = shell.amends("history", refused, "--json").json[-1]["at"]
    told = shell.amends("replay", "--at", end, "--json").json
    assert any(place["status"] == "compensated" for place in told["places"])
    before = shell.amends("replay", "--at", "2020-01-01", "--json").json
    assert before["places"] == []
    assert before["not_started"] >= 1
    assert "errand@1 compensated" in shell.amends("replay", "--at", end).words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("replay", "past", "--version", "12"), "BeyondTheEnd: expected a version of saga "),
        (("replay", "past", "--at", "2020-01-01"), "BeforeTheStart: expected an instant in the life of saga"),
        (("replay", "past", "--at", "noon"), "NoMoment: expected a version such as 7, or an instant such as"),
        (("replay", "past", "--at", "2030-01-01", "--version", "2"), "expected --at or --version, got both"),
        (("replay",), "expected the id or key of a saga, or --at"),
        (("replay", "nobody"), "SagaNotFound: expected the id or key of a saga, got 'nobody'"),
        (("diff", "past", "1", "99"), "BeyondTheEnd: expected a version of saga "),
        (("diff", "past", "one", "2"), "NoMoment: expected a version such as 7"),
    ],
)
def test_bad_input(shell: Shell, refused: str, arguments: tuple[str, ...], complaint: str) -> None:
    said = shell.amends(*arguments)
    assert (said.status, said.out) == (1, "")
    assert complaint in said.complaint
