"""`amends list`, `stuck`, `timers` and `dead`, on sagas that run."""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import Any

import pytest

from amends.domain import wire
from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.ports import Outgoing
from tests.cli.conftest import WITHIN, Shell
from tests.cli.test_reading import waiting


def until_listed(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    """The rows of a list once there is one: views follow what is recorded within moments."""
    until = monotonic() + WITHIN
    while True:
        said = shell.amends(*arguments, "--json")
        assert said.status == 0, said.errors
        rows: list[dict[str, Any]] = said.json["rows"]
        if rows:
            return rows
        assert monotonic() < until, f"{arguments} never showed anything"


@pytest.fixture(scope="module")
def standing(shell: Shell) -> Shell:
    """One saga is done, one is parked."""
    shell.start("listed-done", "fine", "--wait")
    waiting(shell, "listed-parked", "parked")
    return shell


def test_list_shows_sagas_by_filter(standing: Shell) -> None:
    [row] = until_listed(standing, "list", "--key", "listed-done", "--status", "completed")
    assert (row["saga"], row["definition"], row["last_error"]) == ("errand", 1, "")
    said = standing.amends("list", "--type", "errand@1", "--status", "completed")
    assert "errand@1 listed-done completed" in said.words
    assert standing.amends("list", "--key", "nobody").out == "none\n"


def test_list_goes_on_behind_a_page(standing: Shell) -> None:
    until_listed(standing, "list", "--key", "listed-parked")
    first = standing.amends("list", "--limit", "1", "--json").json
    assert (len(first["rows"]), bool(first["next"])) == (1, True)
    second = standing.amends("list", "--limit", "1", "--after", first["next"], "--json").json
    assert second["rows"][0]["saga_id"] != first["rows"][0]["saga_id"]


def test_stuck_shows_why_since_when_and_what_helps(standing: Shell) -> None:
    rows = until_listed(standing, "stuck", "--reason", "parked step")
    row = next(row for row in rows if row["key"] == "listed-parked")
    assert (row["step"], row["detail"]) == ("report", "report: the printer is out of paper")
    assert row["help"] == f'amends retry {row["saga_id"]} report --reason "try again"'
    said = standing.amends("stuck", "--reason", "parked step")
    assert "listed-parked parked step: report" in said.words
    assert f"\n{row['help']}\n" in said.out  # on a line of its own, to be copied


def test_timers_of_all_sagas(standing: Shell) -> None:
    rows = until_listed(standing, "timers", "--type", "errand")
    assert any(row["key"] == "listed-parked" for row in rows)
    assert "errand@1 listed-parked" in standing.amends("timers").words


def test_a_dead_letter_is_shown_sent_again_and_discarded(standing: Shell) -> None:
    async def publish() -> None:
        namespace = standing.settings.namespace
        async with Servers(standing.settings) as servers:
            broker = Broker(servers.nats_url, name="test", namespace=namespace)
            async with broker:
                start = wire.event_subject(namespace, "errands.asked")
                await broker.publisher().publish(
                    [Outgoing("odd-1", start, {wire.CE_ID: "odd-1"}, b"not JSON")]
                )

    asyncio.run(publish())
    [row] = until_listed(
        standing, "dead", "list", "--subject", f"{standing.settings.namespace}.evt.errands.asked"
    )
    assert row["message_id"] == "odd-1"
    shown = standing.amends("dead", "show", "odd-1")
    assert "not JSON" in shown.out
    assert standing.amends("dead", "requeue", "odd-1", "--reason", "mended").out == "sent again\n"
    assert until_listed(standing, "dead", "list")[0]["message_id"] == "odd-1", (
        "it cannot be handled now, either"
    )
    assert standing.amends("dead", "discard", "odd-1", "--reason", "a test").out == "discarded\n"
    assert standing.amends("dead", "list").words.startswith("none These are the process manager's.")
    said = standing.amends("dead", "discard", "odd-1", "--reason", "again")
    assert said.status == 1
    assert "LetterNotFound: expected the message id of a dead letter, got 'odd-1'" in said.complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("list", "--status", "finished"), "ImpossibleFilter: expected status to be one of running"),
        (("list", "--type", "Order!"), "expected a type such as order, or a version such as order@1"),
        (("list", "--after", "nonsense"), "BadCursor: expected a cursor as the page before gave it"),
        (("list", "--limit", "0"), "ImpossibleFilter: expected a page of 1 to 1000 rows"),
        (("stuck", "--reason", "lazy"), "ImpossibleFilter: expected reason to be one of awaiting a reply"),
        (("dead", "show", "m7"), "LetterNotFound: expected the message id of a dead letter, got 'm7'"),
    ],
)
def test_bad_input(standing: Shell, arguments: tuple[str, ...], complaint: str) -> None:
    said = standing.amends(*arguments)
    assert (said.status, said.out) == (1, "")
    assert complaint in said.complaint


def test_a_cursor_of_another_list(standing: Shell) -> None:
    cursor = json.loads(standing.amends("list", "--limit", "1", "--json").out)["next"]
    said = standing.amends("list", "--status", "running", "--after", cursor)
    assert (said.status, said.out) == (1, "")
    assert (
        "CursorOfAnotherQuery: expected a cursor of this list with these filters (status running)"
        in said.complaint
    )
