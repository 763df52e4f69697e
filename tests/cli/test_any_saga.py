"""Whatever happened to a saga, `show`, `history` and `timeline` can tell it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import suppress
from io import StringIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from amends.cli.drawing import history_table, standing_table
from amends.cli.timeline import drawn
from amends.domain.definition import Definition
from amends.domain.errors import ActionRefused
from amends.domain.handlers.errors import BadAction
from amends.infrastructure.ports import SagaRow
from amends.projections.story import standing, story
from amends.projections.timeline.reading import chart
from amends.projections.timeline.svg import svg
from tests.domain import test_handlers_any_sequence as handlers
from tests.domain.driver import Play
from tests.domain.fulfilment import Fulfilment, Ordered
from tests.domain.manager_play import Told
from tests.domain.random_actions import ACTIONS
from tests.domain.random_sagas import definitions
from tests.domain.test_any_sequence import Act, Network, acts


def tell(play: Play | Told, width: int) -> None:
    state, version = play.state, len(play.history)
    facts = {**standing(state, version), "quarantine": None, "version_missing": False}
    row = SagaRow(state.id, state.saga, state.definition, state.key, play.status, version, 0, None)
    made = chart(play.history, play.now)
    paper = Console(file=StringIO(), width=width)
    paper.print(standing_table(facts), history_table(row, story(play.history)), drawn(made, width))
    ET.fromstring(svg(made))


_SETTINGS = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@_SETTINGS
@given(definitions(), acts(*ACTIONS, *["admit"] * 4), st.booleans(), st.integers(40, 160))
def test_any_saga_is_told(definition: Definition, happens: list[Act], limited: bool, width: int) -> None:
    network = Network(definition, limited=limited)
    for act in happens:
        network.act(act)
    tell(network, width)


@_SETTINGS
@given(st.lists(handlers.ACTS, max_size=25), st.integers(40, 160))
def test_any_process_manager_is_told(happens: list[handlers.Act], width: int) -> None:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    for number, act in enumerate(happens):
        with suppress(ActionRefused, BadAction):
            act(told, number)
    tell(told, width)
