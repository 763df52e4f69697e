"""Help, and settings: what a user may get wrong before anything runs."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from amends.cli.app import app
from tests.cli.conftest import Shell

COMMANDS = sorted(typer.main.get_group(app).commands)


def test_help_names_every_command_and_the_settings(bare: Shell) -> None:
    said = bare.amends("--help")
    assert said.status == 0
    for word in (*COMMANDS, "AMENDS_DATABASE_URL", "AMENDS_NATS_URL", "AMENDS_NAMESPACE", "AMENDS_DATA_DIR"):
        assert word in said.out
    assert bare.amends().words == said.words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"], prog_name="amends")
    assert said.exit_code == 0
    assert f"Usage: amends {command}" in " ".join(said.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [("show", "o-1"), ("history", "o-1"), ("start", "order", "--input", "-"), ("up", "errands"), ("demo",)],
)
def test_a_wrong_setting_is_named_with_what_was_expected(bare: Shell, arguments: tuple[str, ...]) -> None:
    said = bare.amends(*arguments, given="{}", namespace="Not A Namespace", databse_url="postgresql:///shop")
    assert (said.status, said.out) == (1, "")
    assert "AMENDS_NAMESPACE: expected a lower-case letter" in said.complaint
    assert "came 'Not A Namespace'" in said.complaint
    assert (
        "AMENDS_DATABSE_URL is not a setting of Amends. Did you mean AMENDS_DATABASE_URL?" in said.complaint
    )


def test_a_password_in_a_wrong_setting_is_not_shown(bare: Shell) -> None:
    said = bare.amends("show", "o-1", database_url="mysql://user:secret@host/shop")
    assert said.status == 1
    assert "AMENDS_DATABASE_URL: expected a URL like postgresql://" in said.complaint
    assert "secret" not in said.errors


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("shwo",), "No such command 'shwo'"),
        (("show",), "Missing argument 'ID'"),
        (("start", "order"), "Missing option '--input'"),
        (("demo", "--orders", "0"), "greater than or equal to 1"),
    ],
)
def test_a_command_line_that_is_none_ends_with_status_2(
    bare: Shell, arguments: tuple[str, ...], expected: str
) -> None:
    said = bare.amends(*arguments)
    assert said.status == 2
    assert expected in said.complaint


@pytest.mark.parametrize("database", ["database_url", "participant_database_url"])
def test_a_database_that_is_not_there_is_named_with_its_setting(bare: Shell, database: str) -> None:
    command = ("up", "errands:courier") if database == "participant_database_url" else ("show", "o-1")
    said = bare.amends(*command, **{database: "postgresql://user:secret@127.0.0.1:1/shop"})
    assert (said.status, "secret" in said.errors) == (1, False)
    assert "DatabaseUnreachable: expected PostgreSQL where the " in said.complaint
    assert f"AMENDS_{database.upper()}" in said.complaint


def test_a_broker_that_is_not_there_is_named_with_its_setting(bare: Shell) -> None:
    said = bare.amends("worker", "errands", nats_url="nats://user:secret@127.0.0.1:1")
    assert (said.status, "secret" in said.errors) == (1, False)
    assert "BrokerUnreachable: expected NATS with JetStream" in said.complaint
    assert "AMENDS_NATS_URL" in said.complaint
