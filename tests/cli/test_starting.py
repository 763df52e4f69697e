"""`amends start`, `amends new`, and the commands that run modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from uuid import UUID

import pytest

from amends.infrastructure.embedded import Servers
from tests.cli.conftest import WITHIN, Shell

ROOT = Path(__file__).parents[2]


def test_start_prints_the_saga_s_id_and_the_same_event_again_the_same(shell: Shell) -> None:
    first, again = shell.start("twice"), shell.start("twice")
    assert (first.status, first.errors) == (0, "")
    assert first.out == again.out
    assert str(UUID(first.out.strip())) == first.out.strip()


@pytest.mark.parametrize(("fate", "end"), [("fine", "completed"), ("refused", "compensated")])
def test_start_waits_for_the_end_where_it_is_told_to(shell: Shell, fate: str, end: str) -> None:
    said = shell.start(f"waited-{fate}", fate, "--wait")
    assert said.status == 0
    assert said.out.split()[1:] == [end]


def test_start_reads_its_input_from_a_file(shell: Shell) -> None:
    (shell.folder / "errand.json").write_text('{"errand": "from-a-file"}')
    said = shell.amends("start", "errand", "--input", "errand.json", "--wait")
    assert said.out.split()[1:] == ["completed"]


@pytest.mark.parametrize(
    ("arguments", "given", "complaint"),
    [
        (("errand", "--input", "-"), "{not json", "BadInput: expected JSON in -"),
        (("errand", "--input", "-"), '{"errand": ""}', "expected a JSON object with errand, the key of errand"),
        (("errand", "--input", "-"), "[1]", "BadInput: expected a JSON object with errand"),
        (("errand", "--input", "nowhere.json"), "", "BadInput: expected a readable file"),
        (("order", "--input", "-"), "{}", "UnknownSagaType: expected a saga type that was run here before (errand)"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_be_is_refused_with_the_reason(
    shell: Shell, arguments: tuple[str, ...], given: str, complaint: str
) -> None:
    said = shell.amends("start", *arguments, given=given)
    assert (said.status, said.out) == (1, "")
    assert complaint in said.complaint


def test_nothing_can_be_started_where_nothing_was_ever_run(bare: Shell) -> None:
    said = bare.amends("start", "errand", "--input", "-", given="{}", namespace="never_started")
    assert said.status == 1
    assert "(none yet), got 'errand'; run it with `amends up MODULE`" in said.complaint


def test_an_input_that_is_no_start_event_is_a_dead_letter_and_others_go_on(shell: Shell) -> None:
    waited = shell.start("wrong", "no such fate", "--wait")
    assert waited.status == 1
    assert "NotStarted: expected a Asked as JSON; fate: Input should be " in waited.complaint
    assert shell.start("after-it", "fine", "--wait").out.split()[1:] == ["completed"]
    assert shell.amends("show", "wrong").status == 1


def test_new_writes_a_first_saga_and_says_what_to_do_next(bare: Shell) -> None:
    said = bare.amends("new", "shop")
    assert said.status == 0
    written = sorted(path.name for path in (bare.folder / "shop").iterdir())
    assert written == ["order.json", "orders.py", "test_orders.py"]
    assert "amends up orders" in said.out
    again = bare.amends("new", "shop")
    assert again.status == 1
    assert "WouldOverwrite: expected a folder without shop/orders.py" in again.complaint


def test_the_test_that_new_writes_passes(bare: Shell, servers: Servers) -> None:
    """On the servers that are there. The plug-in is named, so that it need not be installed anew for this."""
    assert bare.amends("new", "tried").status == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "amends.testing.plugin"],
        cwd=bare.folder / "tried",
        env={
            **os.environ,
            "AMENDS_DATABASE_URL": servers.database_url,
            "AMENDS_NATS_URL": servers.nats_url,
            "AMENDS_NAMESPACE": f"t{token_hex(6)}",
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert (tested.returncode, " failed" in tested.stdout) == (0, False), tested.stdout
    assert " passed" in tested.stdout


def test_a_worker_and_a_participant_run_as_programs_of_their_own(bare: Shell) -> None:
    with bare.running("worker", "errands"), bare.running("participant", "errands:courier") as participant:
        assert bare.start("apart", "fine", "--wait").out.split()[1:] == ["completed"]
        participant.send_signal(signal.SIGINT)
        assert participant.wait(WITHIN) == 0


@pytest.mark.parametrize(
    ("command", "module", "complaint"),
    [
        ("up", "nowhere", "expected a module 'nowhere' in the working directory or among the installed packages"),
        ("worker", "errands:nobody", "expected 'nobody' in module 'errands'; it has no such name"),
        ("participant", "empty", "expected a Participant in empty; found none"),
        ("up", "empty", "in empty; found none"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_run_is_named(bare: Shell, command: str, module: str, complaint: str) -> None:
    said = bare.amends(command, module)
    assert said.status == 1
    assert said.complaint.startswith("amends: NothingFound: ")
    assert complaint in said.complaint


@pytest.mark.parametrize(
    ("command", "module", "wanted"),
    [("worker", "errands:courier", "a Saga"), ("participant", "errands:Errand", "a Participant")],
)
def test_a_module_that_holds_the_other_half_is_no_module_for_this_command(
    bare: Shell, command: str, module: str, wanted: str
) -> None:
    said = bare.amends(command, module)
    assert said.status == 1
    assert f"NothingFound: expected {wanted} in {module}; found none" in said.complaint


def test_an_error_inside_a_module_is_shown_as_it_is(bare: Shell) -> None:
    (bare.folder / "broken.py").write_text("import nowhere_at_all\n")
    said = bare.amends("up", "broken")
    assert said.status == 1
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in said.errors
    assert str(Path("broken.py")) in said.errors
