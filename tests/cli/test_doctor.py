"""`amends doctor`: what it finds well, and what it says where something is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Said, Shell
from tests.cli.test_reading import waiting


def findings(said: Said) -> dict[str, dict[str, Any]]:
    return {finding["about"]: finding for finding in said.json}


def test_a_system_that_runs_is_well(shell: Shell) -> None:
    waiting(shell, "examined", "parked")
    said = shell.amends("doctor", "--json")
    assert said.status == 0, said.out
    found = findings(said)
    for about in ("migrations", "database", "broker", "workers", "quarantine", "outbox", "broker gap"):
        assert found[about]["health"] == "well", found[about]
    events = f"{shell.settings.namespace.upper()}_EVENTS"
    assert found[f"stream {events}"]["told"].split()[0] != "0"
    assert {"consumer start-errand", "consumer saga-errand", "projection sagas"} <= set(found)
    drawn = shell.amends("doctor")
    assert "✓ database PostgreSQL answers" in drawn.words


def test_where_nothing_has_run_it_says_what_to_do(bare: Shell) -> None:
    said = bare.amends("doctor", "--json", namespace="never")
    assert said.status == 0
    found = findings(said)
    assert found["migrations"]["health"] == "attention"
    assert found["stream NEVER_EVENTS"] == {
        "about": "stream NEVER_EVENTS",
        "health": "attention",
        "told": "is not there yet",
        "mend": "amends worker MODULE: it makes what is missing, and sends again what was lost",
    }


@pytest.mark.parametrize(
    ("settings", "about", "mend"),
    [
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, "database", "AMENDS_DATABASE_URL"),
        ({"nats_url": "nats://127.0.0.1:1"}, "broker", "AMENDS_NATS_URL"),
    ],
)
def test_a_server_that_cannot_be_reached(
    shell: Shell, settings: dict[str, str], about: str, mend: str
) -> None:
    said = shell.amends("doctor", "--json", **settings)
    assert said.status == 1
    found = findings(said)[about]
    assert found["health"] == "broken"
    assert mend in found["mend"]
