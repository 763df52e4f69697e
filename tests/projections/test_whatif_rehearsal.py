"""What-if, one saga at a time: what a saga was told is read out of its history, and told to a definition again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.domain.definition import Definition
from amends.domain.history import Recorded, read
from amends.domain.wire import Outcome
from amends.projections.whatif.rehearsal import rehearse
from tests.domain.random_actions import ACTIONS
from tests.domain.random_sagas import definitions
from tests.domain.test_any_sequence import Act, Liars, Network, acts

_SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def stored(history: list[Recorded]) -> list[Recorded]:
    """The history as it is read back from its bytes."""
    return [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in history]


def assert_the_same(definition: Definition, history: list[Recorded]) -> None:
    rehearsed = rehearse(definition, stored(history))
    assert [event for _, event in rehearsed.events] == [recorded.event for recorded in history]
    assert not rehearsed.troubles
    assert not rehearsed.unknown


@_SETTINGS
@given(definitions(), acts(*ACTIONS))
def test_the_same_definition_records_the_same_whatever_happened(
    definition: Definition, happens: list[Act]
) -> None:
    network = Network(definition)
    for act in happens:
        network.act(act)
    assert_the_same(definition, network.history)


@_SETTINGS
@given(
    definitions(),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Outcome), st.booleans()), min_size=5, max_size=60),
)
def test_the_same_definition_records_the_same_whatever_services_say(
    definition: Definition, said: list[tuple[int, Outcome, bool]]
) -> None:
    play = Liars(definition)
    for which, outcome, ticks in said:
        play.says(which, outcome)
        if ticks and play.state.wake_up:
            play.tick()
    assert_the_same(definition, play.history)
