"""The views beside `amends up`, and the commands about what feeds them."""

from __future__ import annotations

from time import monotonic

from tests.cli.conftest import WITHIN, Shell


def test_up_keeps_the_views_up_to_date(shell: Shell) -> None:
    assert shell.start("viewed", "fine", "--wait").status == 0
    said = shell.amends("projections", "status", "--json")
    live = {each["projection"]: each for each in said.json if each["state"] == "live"}
    assert set(live) == {"sagas", "statistics"}
    assert all(each["events"] > 0 and not each["error"] for each in live.values())
    assert "statistics" in shell.amends("projections", "status").words


def test_views_are_built_anew_beside_a_running_worker(shell: Shell) -> None:
    assert shell.start("rebuilt", "fine", "--wait").status == 0
    before = {
        each["projection"]: each["copy"] for each in shell.amends("projections", "status", "--json").json
    }
    said = shell.amends("projections", "rebuild", "sagas")
    assert (said.status, said.out.strip()) == (0, "rebuilt: sagas")
    after = {
        each["projection"]: each["copy"] for each in shell.amends("projections", "status", "--json").json
    }
    assert after == {**before, "sagas": before["sagas"] + 1}


def test_a_projection_that_there_is_not(bare: Shell) -> None:
    said = bare.amends("projections", "rebuild", "sages")
    assert said.status == 1
    assert "expected names of projections (sagas, statistics), got sages" in said.complaint


def test_the_projections_on_their_own(bare: Shell) -> None:
    nobody = "nobody feeds it: amends projections run"
    assert nobody in bare.amends("projections", "status").words
    with bare.running("projections", "run"):
        assert {each["behind"] for each in bare.amends("projections", "status", "--json").json} == {0}
        until = monotonic() + WITHIN
        while nobody in bare.amends("projections", "status").words:
            assert monotonic() < until
