"""`amends show` and `amends history`, read by somebody who has never seen the code."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pytest

from amends import Client
from amends.domain import wire
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Outgoing
from tests.cli.conftest import WITHIN, Shell
from tests.cli.errands import Asked, Errand

CAUSE = re.compile(r"[0-9a-f]{8}|timer")


def sentences(shell: Shell, key: str) -> list[str]:
    said = shell.amends("history", key, "--json")
    assert said.status == 0
    return [event["sentence"] for event in said.json]


def waiting(shell: Shell, key: str, fate: str) -> dict[str, Any]:
    """Where a saga stands that has come so far that it waits for hours."""
    shell.start(key, fate)
    until = monotonic() + WITHIN
    facts: dict[str, Any] = {"waits": []}
    while not any(wait["last_error"] for wait in facts["waits"]):
        assert monotonic() < until, f"{key} never came to wait: {facts}"
        said = shell.amends("show", key, "--json")
        facts = said.json if said.status == 0 else facts
    return facts


def test_the_history_of_a_saga_that_completed(shell: Shell) -> None:
    shell.start("done", "fine", "--wait")
    assert sentences(shell, "done") == [
        "errand done started, because of the event errands.asked",
        "find was skipped: there is nothing to ask for",
        "asked courier to do fetch",
        "fetch succeeded",
        "asked courier to do deliver",
        "deliver succeeded",
        "asked courier to do report",
        "report succeeded",
        "completed: every step is done",
    ]


def test_the_history_of_a_saga_that_was_refused(shell: Shell) -> None:
    shell.start("refused", "refused", "--wait")
    assert sentences(shell, "refused")[4:] == [
        "asked courier to do deliver",
        "deliver was rejected: nobody opened the door",
        "deliver was given up: it will not be tried again",
        "turned back, to undo what happened or may have: deliver: rejected: nobody opened the door",
        "asked courier to undo fetch (put_back)",
        "undoing fetch succeeded",
        "compensated: all that had to be undone is undone",
    ]


def test_the_history_of_a_saga_whose_service_never_answered(shell: Shell) -> None:
    shell.start("unanswered", "unanswered", "--wait")
    told = sentences(shell, "unanswered")
    assert told[1:3] == [
        "asked nobody to do find (search)",
        "no answer in time to find; nobody knows whether it happened",
    ]
    assert told[4:] == [
        "asked nobody to do find (search) (attempt 2)",
        "no answer in time to find (attempt 2); nobody knows whether it happened",
        "find was given up: it will not be tried again",
        "turned back, to undo what happened or may have: find: retries used up, the last with: no answer",
        "asked courier to undo find (put_back)",
        "undoing find succeeded",
        "compensated: all that had to be undone is undone",
    ]


def test_the_history_of_a_saga_that_was_cancelled_says_by_whom_and_why(shell: Shell) -> None:
    async def cancel() -> None:
        async with Client(shell.settings) as client:
            run = await client.start(Errand, Asked(errand="cancelled", fate="retrying"))
            await client.cancel(run.id, by="anna", reason="no longer wanted")
            assert await run.result() == "compensated"

    waiting(shell, "cancelled", "retrying")
    asyncio.run(cancel())
    assert sentences(shell, "cancelled")[-6:] == [
        "anna asked to cancel: no longer wanted",
        "fetch was given up: it will not be tried again",
        "turned back, to undo what happened or may have: cancelled: no longer wanted",
        "asked courier to undo fetch (put_back)",
        "undoing fetch succeeded",
        "compensated: all that had to be undone is undone",
    ]
    drawn = shell.amends("history", "cancelled").out
    assert "by" in drawn.splitlines()[1].split()
    assert "anna" in drawn


@pytest.mark.parametrize("columns", [80, 120])
def test_a_history_is_drawn_with_day_time_and_cause(shell: Shell, columns: int) -> None:
    shell.start("drawn", "refused", "--wait")
    said = replace(shell, environment={"COLUMNS": str(columns)}).amends("history", "drawn")
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("errand drawn: compensated, recorded by ")
    assert f"{datetime.now(UTC):%Y-%m-}" in lines[2]
    assert CAUSE.fullmatch(lines[2].split()[-1])
    assert [line.split()[0] for line in lines if re.match(r" \d+ ", line)] == [str(n) for n in range(1, 12)]


def test_history_as_json_has_every_field_of_every_event(shell: Shell) -> None:
    shell.start("in-full", "refused", "--wait")
    told = shell.amends("history", "in-full", "--json").json
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))
    asked = next(event for event in told if event["type"] == "command.recorded")
    assert asked["data"]["payload"] == {"fate": "refused"}
    assert asked["data"]["subject"] == "courier.fetch"
    assert {"version", "at", "type", "sentence", "by", "cause", "trace", "data"} == set(asked)


def test_show_says_where_a_finished_saga_stands(shell: Shell) -> None:
    saga_id = shell.start("shown", "refused", "--wait").out.split()[0]
    said = shell.amends("show", "shown")
    assert said.status == 0
    assert said.out == shell.amends("show", saga_id).out
    for words in (
        f"id {saga_id}",
        "saga errand@1",
        "status compensated",
        "because of deliver: rejected: nobody opened the door",
        "find skipped",
        "fetch undone",
        "deliver given up: rejected: nobody opened the door",
        "report never asked for",
    ):
        assert words in said.words
    assert "deadline" not in said.out


def test_show_says_what_a_saga_waits_for_and_since_when(shell: Shell) -> None:
    facts = waiting(shell, "retrying", "retrying")
    [wait] = facts["waits"]
    assert (wait["step"], wait["direction"], wait["for"]) == ("fetch", "forward", "the next attempt")
    assert wait["last_error"] == "the shop is shut"
    said = shell.amends("show", "retrying").words
    assert f"waits for the next attempt to do fetch: at {wait['until'][:10]}" in said
    assert "UTC, after 1 in vain" in said
    drawn = shell.amends("timeline", "retrying").words
    assert " until now; " in drawn
    assert " now +" in drawn
    assert "failed: the shop is shut; next attempt awaited for " in drawn
    assert "last error the shop is shut" in said
    assert "fetch asked for, and may have happened" in said
    assert "deliver still to come" in said
    assert "deadline" in said


@pytest.mark.parametrize(
    ("fate", "status", "error"),
    [
        ("parked", "running", "the printer is out of paper"),
        ("not undone", "compensating", "the place on the shelf is taken"),
    ],
)
def test_show_says_when_a_person_should_look(shell: Shell, fate: str, status: str, error: str) -> None:
    key = f"key of {fate}"
    facts = waiting(shell, key, fate)
    assert (facts["status"], facts["waits"][0]["parked"]) == (status, True)
    said = shell.amends("show", key).words
    assert f"status {status}" in said
    assert f"last error {error}" in said
    assert "a person should look at it; it is tried again, slowly" in said
    told = sentences(shell, key)[-1]
    assert "needs a person to look at it: " in told
    assert told.endswith("; meanwhile it is tried again, slowly")


def contradict(shell: Shell, key: str) -> None:
    """The service that refused to deliver says, after all is undone, that it did deliver."""
    told = shell.amends("history", key, "--json").json
    [asked] = [e for e in told if e["type"] == "command.recorded" and e["data"]["step"] == "deliver"]
    command, namespace = asked["data"]["command_id"], shell.settings.namespace
    headers = {
        wire.CE_ID: "late-1", wire.CAUSATION_ID: command, wire.OUTCOME: "succeeded",
        wire.SAGA_ID: shell.amends("show", key, "--json").json["id"], wire.SAGA: "errand@1", wire.KEY: key,
        wire.STEP: "deliver", wire.DIRECTION: "forward", wire.ROUND: "1", wire.ATTEMPT: "1",
    }  # fmt: skip

    async def publish() -> None:
        async with (
            Servers(shell.settings) as servers,
            Broker(servers.nats_url, name="test", namespace=namespace) as broker,
        ):
            subject = wire.event_subject(namespace, "courier.deliver.done")
            await broker.publisher().publish([Outgoing("late-1", subject, headers, b"{}")])

    asyncio.run(publish())


def test_a_contradiction_is_explained_by_show_history_and_timeline(shell: Shell) -> None:
    shell.start("contradicted", "refused", "--wait")
    contradict(shell, "contradicted")
    until = monotonic() + WITHIN
    while shell.amends("show", "contradicted", "--json").json["contradictions"] == 0:
        assert monotonic() < until, sentences(shell, "contradicted")
    said = shell.amends("show", "contradicted").words
    assert "status compensated" in said
    assert "a service contradicted itself, see the history; a person should look at it" in said
    assert sentences(shell, "contradicted")[-1] == (
        "deliver: the service said rejected, and now succeeded; needs a person"
    )
    drawn = shell.amends("timeline", "contradicted").words
    assert "contradiction: the service said rejected, and later succeeded; needs a person" in drawn
    assert "≠P" in drawn
    assert "P needs a person" in drawn
    assert "≠ contradiction" in drawn


@pytest.mark.parametrize("command", ["show", "history", "timeline", "replay"])
@pytest.mark.parametrize("named", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_a_saga_that_does_not_exist(shell: Shell, command: str, named: str) -> None:
    said = shell.amends(command, named)
    assert (said.status, said.out) == (1, "")
    assert f"SagaNotFound: expected the id or key of a saga, got '{named}'" in said.complaint
    assert "once a worker has taken its start event" in said.complaint


def test_text_that_looks_like_markup_is_shown_as_it_is(shell: Shell) -> None:
    key = "a[/b] [red]c"
    shell.start(key, "refused", "--wait")
    assert key in shell.amends("show", key).words
    assert f"errand {key}: compensated" in shell.amends("history", key).words
    assert "got '[/nobody]'" in shell.amends("show", "[/nobody]").complaint
