"""The commands by which an operator acts on a saga, while a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from tests.cli.conftest import WITHIN, Said, Shell
from tests.cli.test_reading import sentences, waiting

WHY = ("--reason", "as told on the phone", "--by", "anna")


def done(said: Said) -> Said:
    assert said.status == 0, said.errors
    return said


def test_a_saga_is_suspended_and_resumed(shell: Shell) -> None:
    waiting(shell, "held up", "retrying")
    said = done(shell.amends("suspend", "held up", *WHY))
    assert said.words == "done; errand held up is running"
    shown = shell.amends("show", "held up")
    assert "suspended as told on the phone" in shown.words
    assert "not applied while suspended" in shell.amends("timers", "held up").words
    refused = shell.amends("suspend", "held up", *WHY)
    assert refused.status == 1
    assert "is suspended already, because: as told on the phone" in refused.complaint
    done(shell.amends("resume", "held up", *WHY))
    assert sentences(shell, "held up")[-2:] == [
        "anna suspended it: as told on the phone",
        "anna resumed it: as told on the phone",
    ]


def test_a_step_is_tried_again_now_and_then_skipped(shell: Shell) -> None:
    waiting(shell, "again", "parked")
    said = done(shell.amends("retry", "again", *WHY, "--json"))
    assert (said.json["key"], said.json["status"]) == ("again", "running")
    waiting(shell, "again", "parked")
    assert done(shell.amends("skip", "again", "report", *WHY)).words == "done; errand again is completed"
    assert sentences(shell, "again")[-2:] == [
        "anna skipped report: as told on the phone",
        "completed: every step is done",
    ]


def test_a_compensation_that_is_refused_for_ever_is_settled_by_hand(shell: Shell) -> None:
    waiting(shell, "sold", "not undone")
    refused = shell.amends("settle", "sold", "fetch", "succeeded", *WHY)
    assert "While it is compensating, settle the step's compensation" in refused.complaint
    said = done(shell.amends("settle", "sold", "fetch", "succeeded", "--compensation", *WHY))
    assert said.words == "done; errand sold is compensated"
    assert "undone, as an operator says" in shell.amends("show", "sold").words


def test_a_cancel_after_the_pivot_is_refused_and_says_why(shell: Shell) -> None:
    waiting(shell, "too late", "parked")
    refused = shell.amends("cancel", "too late", *WHY)
    assert refused.status == 1
    assert "cannot be cancelled: its pivot 'deliver' is done, so it only goes forward" in refused.complaint


def test_an_abandoned_saga_says_what_it_leaves(shell: Shell) -> None:
    waiting(shell, "lost", "parked")
    assert done(shell.amends("abandon", "lost", *WHY)).words == "done; errand lost is failed"
    last = sentences(shell, "lost")[-1]
    assert last.startswith(
        "anna abandoned it: as told on the phone; not undone: fetch, deliver; nobody knows of"
    )


def test_timers_are_listed_moved_and_cancelled(shell: Shell) -> None:
    waiting(shell, "later", "retrying")
    listed = done(shell.amends("timers", "later", "--json")).json
    assert [timer["timer"] for timer in listed] == ["fetch", "deadline"]
    done(shell.amends("reschedule", "later", "fetch", "--in", "3d", *WHY))
    moved = done(shell.amends("timers", "later", "--json")).json
    assert [timer["timer"] for timer in moved] == ["deadline", "fetch"]
    done(shell.amends("reschedule", "later", "--never", *WHY))
    [left] = done(shell.amends("timers", "later", "--json")).json
    assert left["timer"] == "fetch"
    done(shell.amends("reschedule", "later", "fetch", "--never", *WHY))
    assert "was called off (as told on the phone)" in shell.amends("show", "later").words
    at = shell.amends("reschedule", "later", "fetch", "--at", "2026-01-01T00:00:00", *WHY)
    assert at.status == 0
    wrong = shell.amends("reschedule", "later", "fetch", "--in", "soon", *WHY)
    assert "90s, 5m, 2h or 3d" in wrong.complaint


@pytest.mark.parametrize("action", ["suspend", "cancel", "abandon"])
def test_an_action_without_a_reason_is_refused(shell: Shell, action: str) -> None:
    waiting(shell, "reasonless", "retrying")
    assert "--reason" in shell.amends(action, "reasonless").complaint
    assert "expected a reason" in shell.amends(action, "reasonless", "--reason", " ").complaint


def test_an_action_that_needs_a_worker_says_so_where_none_runs(shell: Shell, bare: Shell) -> None:
    with bare.running("up", "errands"):
        waiting(bare, "alone", "retrying")
    done(bare.amends("suspend", "alone", *WHY))
    refused = bare.amends("resume", "alone", *WHY)
    assert "expected a running worker that holds errand@1" in refused.complaint
    assert "amends worker MODULE" in refused.complaint


def test_who_acts_comes_from_the_settings(shell: Shell) -> None:
    waiting(shell, "whose", "retrying")
    shell.amends("suspend", "whose", "--reason", "an outage", operator="olga")
    assert sentences(shell, "whose")[-1] == "olga suspended it: an outage"


def test_a_saga_in_quarantine_is_shown_with_its_error_and_released(shell: Shell) -> None:
    shell.start("broken", "broken")
    facts = until(shell, "broken", lambda facts: facts["quarantine"])
    assert facts["quarantine"]["error"].startswith("LookupError: no such address (errands.py, line ")
    assert (facts["quarantine"]["after_event"], facts["quarantine"]["held"]) == (3, 1)
    assert (
        "1 messages are held for it; `amends release` tries them again"
        in shell.amends("show", "broken").words
    )
    done(shell.amends("release", "broken", *WHY))
    assert "anna released it from quarantine: as told on the phone" in sentences(shell, "broken")
    until(shell, "broken", lambda facts: facts["quarantine"])
    done(shell.amends("abandon", "broken", *WHY))
    assert not until(shell, "broken", lambda facts: facts["status"] == "failed")["quarantine"]
    refused = shell.amends("release", "broken", *WHY)
    assert "expected a saga in quarantine to release" in refused.complaint


def test_a_saga_whose_version_nobody_runs_is_shown_to_stand_still(bare: Shell) -> None:
    with bare.running("up", "errands"):
        waiting(bare, "lonely", "retrying")
        assert not bare.amends("show", "lonely", "--json").json["version_missing"]
    assert "no running worker holds errand@1" in bare.amends("show", "lonely").words


def until(shell: Shell, key: str, so: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Where the saga stands as soon as it is so."""
    give_up = monotonic() + WITHIN
    while monotonic() < give_up:
        said = shell.amends("show", key, "--json")
        if said.status == 0 and so(said.json):
            return dict(said.json)
    raise AssertionError(f"{key} never came so far: {shell.amends('show', key).out}")


def test_many_sagas_at_once(shell: Shell) -> None:
    for key in ("bulk 1", "bulk 2"):
        waiting(shell, key, "parked")
    chosen = ("--type", "errand", "--step", "report", "--error", "out of paper", "--status", "parked")
    dry = done(shell.amends("bulk", "skip", *WHY, *chosen, "--dry-run", "--json"))
    keys = {each["key"] for each in dry.json}
    assert {"bulk 1", "bulk 2"} <= keys
    told = done(shell.amends("bulk", "skip", *WHY, *chosen, "--job", "paper", "--json")).json
    assert (told["job"], told["done"], told["refused"], told["left"]) == ("paper", len(keys), 0, 0)
    assert {item["result"] for item in told["items"]} == {"done"}
    assert sentences(shell, "bulk 1")[-2] == "anna skipped report: as told on the phone"
    again = done(shell.amends("bulk", "skip", *WHY, *chosen, "--job", "paper"))
    assert again.words.endswith(f"job paper: {len(keys)} done, 0 refused, 0 left")
    assert again.complaint.startswith("job paper 0 sagas to do")
    assert done(shell.amends("job", "paper", "--json")).json["done"] == len(keys)
    assert "there is no job 'nothing'" in shell.amends("job", "nothing").complaint
    assert "expected --to for migrate" in shell.amends("bulk", "migrate", *WHY).complaint


def test_a_job_whose_command_was_killed_is_found_among_the_jobs_and_goes_on_where_it_stopped(
    shell: Shell,
) -> None:
    keys = [f"night {number}" for number in range(3)]
    ids = {key: waiting(shell, key, "retrying")["id"] for key in keys}
    older = len(done(shell.amends("jobs", "--json")).json)
    chosen = ("--type", "errand", "--step", "fetch", "--error", "the shop is shut", "--rate", "0.2")
    with shell.background("bulk", "suspend", *WHY, *chosen, "--json") as command:
        assert command.stderr is not None
        name = command.stderr.readline().split()[-1]  # told before anything else
        started = monotonic()
        while shell.amends("job", name).words.count(" 0 done") or not shell.amends("job", name).out:
            assert monotonic() < started + WITHIN
        command.kill()  # as by a power failure
    listed = done(shell.amends("jobs", "--json")).json
    assert len(listed) == older + 1
    assert (listed[0]["job"], listed[0]["action"]["action"]) == (name, "suspend")
    assert listed[0]["left"] > 0
    assert "amends job JOB --resume" in done(shell.amends("jobs")).words
    finished = done(shell.amends("job", name, "--resume", "--rate", "100", "--json")).json
    assert finished["left"] == 0
    results = {item["id"]: item["result"] for item in finished["items"]}
    for key in keys:
        assert results[ids[key]] == "done"
        assert sentences(shell, key).count("anna suspended it: as told on the phone") == 1
        done(shell.amends("resume", key, *WHY))
