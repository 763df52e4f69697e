"""`amends limits`: what runs, what is outstanding, what is held and why."""

from __future__ import annotations

from secrets import token_hex

from tests.cli.conftest import Shell

LIMITED = """
from amends import Breaker, Limit
from errands import Errand

errands = Limit("butler", outstanding=1, per_second=10, breaker=Breaker())


class Few(Errand, name="few", version=1, key="errand", limit=3):
    pass
"""


def test_where_nothing_is_limited_it_says_so(shell: Shell) -> None:
    said = shell.amends("limits")
    assert said.status == 0
    assert "No saga type has a limit. No participant has limits." in said.words
    assert shell.amends("limits", "--json").json == {"types": [], "participants": []}


def test_limits_of_a_module_are_in_force_while_its_worker_runs(shell: Shell) -> None:
    (shell.folder / "limited.py").write_text(LIMITED)
    own = f"t{token_hex(6)}"
    with shell.running("worker", "limited", namespace=own):
        found = shell.amends("limits", "--json", namespace=own).json
        shown = shell.amends("limits", namespace=own).words
    assert found["types"] == [{"type": "few", "limit": 3, "running": 0, "waiting": 0}]
    [butler] = found["participants"]
    assert (butler["participant"], butler["outstanding_limit"], butler["per_second_limit"]) == (
        "butler",
        1,
        10,
    )
    assert (butler["breaker"], butler["held"], butler["held_by"]) == ("closed", 0, "")
    assert "few 0 3 0" in shown
    assert "closed, 0 of the last 0 failed" in shown
