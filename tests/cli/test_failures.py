"""What `show` and `history` say of five sagas that failed in different ways, compared with pages that were read by eye.

`tests/cli/timelines` has the same five as `timeline` draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from amends.cli.drawing import history_table, standing_table
from amends.infrastructure.ports import SagaRow
from amends.projections.story import standing, story
from tests.cli.test_timeline import FAILED
from tests.domain.driver import Play

PAGES = Path(__file__).with_name("failures")


def page(play: Play) -> str:
    """Both, without colours and blanks at the ends of lines."""
    state, version = play.state, len(play.history)
    steps = [step["name"] for step in play.definition.shape()["steps"]]
    facts = {**standing(state, version, steps), "quarantine": None, "version_missing": False}
    row = SagaRow(state.id, state.saga, state.definition, state.key, play.status, version, 0, None)
    paper = StringIO()
    console = Console(file=paper, width=100, no_color=True)
    console.print(standing_table(facts), "", history_table(row, story(play.history)), sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in paper.getvalue().splitlines())


@pytest.mark.parametrize("saga", FAILED)
def test_a_failed_saga_is_explained_as_on_its_page(saga: Callable[[], Play]) -> None:
    assert page(saga()) == (PAGES / f"{saga.__name__}.txt").read_text(encoding="utf-8")
