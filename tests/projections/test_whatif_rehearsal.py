"""What-if, one saga at a time: what a saga was told is read out of its history, and told to a definition again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from amends.domain import events as e
from amends.domain.definition import Definition
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.history import Recorded, read
from amends.domain.inputs import Migrate
from amends.domain.migration import Migration
from amends.domain.wire import Outcome
from amends.projections.whatif.rehearsal import rehearse
from tests.domain.driver import Play
from tests.domain.fulfilment import DAY, Approved, Charged, Fulfilment, Ordered
from tests.domain.manager_play import Told
from tests.domain.random_actions import ACTIONS
from tests.domain.random_sagas import definitions
from tests.domain.test_any_sequence import Act, Liars, Network, acts
from tests.domain.test_foreign import BOOKED, DOWN, Trip
from tests.domain.test_waits import YES, Booking

_SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def stored(history: list[Recorded]) -> list[Recorded]:
    """The history as it is read back from its bytes."""
    return [read(r.originator_id, r.originator_version, r.topic, r.stored) for r in history]


UNTOLD = (e.EventPassedOver, e.EventTakenForAnswer)
"""What came with these is not always recorded, and nothing else follows from them."""


def assert_the_same(definition: AnyDefinition, history: list[Recorded]) -> None:
    rehearsed = rehearse(definition, stored(history))
    would = [event for _, event in rehearsed.events if not isinstance(event, UNTOLD)]
    assert would == [recorded.event for recorded in history if not isinstance(recorded.event, UNTOLD)]
    assert not rehearsed.troubles
    assert not rehearsed.unknown


@_SETTINGS
@given(definitions(), acts(*ACTIONS, *["admit"] * 8), st.booleans())
def test_the_same_definition_records_the_same_whatever_happened(
    definition: Definition, happens: list[Act], limited: bool
) -> None:
    network = Network(definition, limited=limited)
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


@_SETTINGS
@given(definitions(), acts(*ACTIONS, *["admit"] * 8), st.integers(0, 20), st.booleans())
def test_from_a_migration_on_the_same_definition_records_the_same(
    definition: Definition, happens: list[Act], before: int, limited: bool
) -> None:
    network = Network(definition, limited=limited)
    for act in happens[:before]:
        network.act(act)
    assume(not network.state.status.final)
    network.older.append(definition)
    network.definition = replace(definition, version=2, migrations=(Migration(1),))
    network.give(Migrate("migrate-1", "a better way", to=2, by="ops"))
    for act in happens[before:]:
        network.act(act)
    assert_the_same(network.definition, network.history)


def test_a_process_manager_decides_again_what_its_handlers_decided() -> None:
    told = Told(Fulfilment, Ordered(order_id="o1"))
    told.succeed("payments.charge", Charged(payment_id="p1"))
    told.succeed("warehouse.pack")
    told.tell(Approved(order_id="o1"))
    told.wait(DAY)
    assert told.types.count("event.handled") >= 3
    assert_the_same(told.definition, told.history)


def test_a_wait_hears_again_what_it_heard() -> None:
    play = Play(Booking)
    play.arrive(YES)
    play.succeed("reserve", "ship")
    play.tick()
    assert "wait.timed-out read" in play.told()
    assert_the_same(play.definition, play.history)


def test_a_foreign_service_answers_again_what_it_answered() -> None:
    play = Play(Trip)
    play.succeed("reserve")
    play.arrive(DOWN)
    play.tick()
    play.arrive(BOOKED)
    play.succeed("notify")
    assert play.status == "completed"
    assert_the_same(play.definition, play.history)
