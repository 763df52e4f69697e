"""Each check of an invariant finds a history, or a deed, that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from amends.domain import events as e
from amends.domain.history import Recorded, record
from amends.domain.wire import CE_ID, Direction, Outcome
from amends.infrastructure.ports import Incoming, Outgoing
from amends.process_managers.registry import Registry
from amends.testing import invariants
from amends.testing.invariants import Deed, Fact
from amends.testing.simulation.watch import Watch
from tests.domain.driver import SECOND, T0, Order, Play

Events = list[e.SagaEvent]
KEY = uuid4()


def played(*succeeded: str) -> Play:
    play = Play()
    play.succeed(*succeeded)
    return play


def completed() -> Play:
    return played("reserve", "charge", "ship", "notify")


def compensated() -> Play:
    play = played("reserve")
    play.reject("charge")
    play.succeed("undo reserve")
    return play


def recorded(events: Iterable[e.SagaEvent]) -> list[Recorded]:
    history: list[Recorded] = []
    for version, event in enumerate(events, start=1):
        history.append(record(UUID(int=1), version, history[-1].digest if history else "", event))
    return history


def numbers(broken: Iterable[str]) -> set[str]:
    return {line.partition(":")[0] for line in broken}


def of_history(events: Iterable[e.SagaEvent]) -> set[str]:
    return numbers(invariants.of_history(Order.definition, recorded(events)))


def of_effects(play: Play, deeds: Mapping[str, Sequence[Deed]]) -> set[str]:
    """What is broken where this became of the first forward key of each step."""
    facts = [
        Fact(play.state.step(name).forward.rounds[0].key, deed)
        for name, all_ in deeds.items()
        for deed in all_
    ]
    return numbers(invariants.of_effects(Order.definition, play.history, facts, quiet=True))


DONE, UNDONE = Deed.DONE, Deed.UNDONE
EACH_DONE: dict[str, Sequence[Deed]] = {step: [DONE] for step in ("reserve", "charge", "ship", "notify")}


def without(events: Events, *kinds: type[e.SagaEvent], step: str = "") -> Events:
    """The events without those of these types, of a step where one is given."""
    return [
        event
        for event in events
        if not isinstance(event, kinds) or (step and getattr(event, "step", "") != step)
    ]


def changed(events: Events, place: int, **fields: object) -> Events:
    return [event.model_copy(update=fields) if event is events[place] else event for event in events]


def test_nothing_is_found_where_all_is_well() -> None:
    for play in (completed(), compensated()):
        assert of_history(play.events) == set()
    assert of_effects(completed(), EACH_DONE) == set()
    assert of_effects(compensated(), {"reserve": [DONE, UNDONE]}) == set()


@pytest.mark.semantics("invariant-1")
@pytest.mark.parametrize("deeds", [[DONE, DONE], [DONE, UNDONE, UNDONE], [UNDONE]])
def test_a_key_that_takes_effect_or_is_undone_too_often(deeds: Sequence[Deed]) -> None:
    assert "1" in of_effects(compensated(), {"reserve": deeds})


@pytest.mark.semantics("invariant-2")
@pytest.mark.parametrize("deeds", [[Deed.REJECTED, DONE], [Deed.BURIED, DONE], [DONE, Deed.REJECTED]])
def test_a_key_that_takes_effect_although_it_cannot(deeds: Sequence[Deed]) -> None:
    assert "2" in of_effects(completed(), {**EACH_DONE, "charge": deeds})


@pytest.mark.semantics("invariant-3")
@pytest.mark.parametrize("deeds", [[], [DONE, UNDONE]])
def test_a_completed_saga_without_an_effect(deeds: Sequence[Deed]) -> None:
    assert of_effects(completed(), {**EACH_DONE, "charge": deeds}) == {"3"}


@pytest.mark.semantics("invariant-3")
def test_a_saga_that_completes_before_every_step_is_done() -> None:
    events = without(completed().events, e.CommandSucceeded, step="notify")
    assert "3" in of_history(events)


@pytest.mark.semantics("invariant-4")
def test_a_compensated_saga_with_an_effect() -> None:
    assert of_effects(compensated(), {"reserve": [DONE]}) == {"4"}


@pytest.mark.semantics("invariant-5")
def test_a_pivots_effect_beside_a_compensation() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    deeds = {"reserve": [DONE], "charge": [DONE], "ship": [DONE]}
    assert of_effects(play, deeds) == {"5"}
    play.succeed("ship")  # which contradicts, and is flagged
    assert of_effects(play, deeds) == set()


@pytest.mark.semantics("invariant-6")
def test_a_saga_that_ends_with_a_step_that_was_not_undone() -> None:
    events = compensated().events
    assert "6" in of_history([*events[:-3], events[-1]])


@pytest.mark.semantics("invariant-6")
def test_a_compensation_of_what_did_not_happen() -> None:
    play = played("reserve")
    play.reject("charge")
    undo = play.commands[-1].model_copy(update={"step": "charge"})
    assert "6" in of_history([*play.events, undo])


@pytest.mark.semantics("invariant-7")
def test_a_compensation_before_what_came_later_is_settled() -> None:
    play = played("reserve", "charge")
    play.reject("ship")
    play.succeed("undo charge")
    last = next(at for at, event in enumerate(play.events) if event is play.events[-2])
    assert isinstance(play.events[last], e.CommandSucceeded)
    assert "7" in of_history([*play.events[:last], play.events[-1]])


def _after_turning_back(play: Play) -> Events:
    play.reject("charge")
    return [*play.events, play.commands[1].model_copy(update={"step": "ship", "key": KEY})]


def _while_suspended(play: Play) -> Events:
    play.suspend()
    play.succeed("charge")
    play.resume()
    return without(play.events, e.SagaResumed)


def _too_early(play: Play) -> Events:
    return without(play.events, e.CommandSucceeded)


@pytest.mark.semantics("invariant-8")
@pytest.mark.parametrize("when", [_after_turning_back, _while_suspended, _too_early])
def test_a_command_forward_at_the_wrong_time(when: Callable[[Play], Events]) -> None:
    assert "8" in of_history(when(played("reserve")))


@pytest.mark.semantics("invariant-9")
@pytest.mark.parametrize("fields", [{"key": KEY}, {"round": 2, "attempt": 1, "payload": {}}, {"attempt": 3}])
def test_an_attempt_that_does_not_belong_to_its_round(fields: dict[str, object]) -> None:
    play = Play()
    play.fail("reserve")
    play.tick()
    assert isinstance(play.events[-1], e.CommandRecorded)
    assert "9" in of_history(changed(play.events, -1, **fields))


@pytest.fixture
def watch() -> Watch:
    return Watch(Registry([Order.definition]), "test")


@pytest.mark.semantics("invariant-10")
def test_a_command_that_nobody_recorded(watch: Watch) -> None:
    watch.stored(Outgoing("c1", "test.cmd.inventory.reserve", {CE_ID: "c1"}, b"{}"), T0)
    assert numbers(watch.broken) == {"10"}


@pytest.mark.semantics("invariant-11")
def test_a_message_that_was_acknowledged_and_is_nowhere(watch: Watch) -> None:
    body = b'{"order_id": "o1"}'
    start = Incoming("test.evt.orders.placed", {CE_ID: "m1"}, body, T0, 1, consumer="start-order")
    watch.acknowledged(start, T0)
    assert numbers(watch.broken) == {"11"}
    watch.broken.clear()
    watch.keeps = {"m1"}.__contains__
    watch.acknowledged(start, T0)
    assert watch.broken == []


@pytest.mark.semantics("invariant-12")
def test_a_wake_up_that_is_not_what_the_history_says() -> None:
    play = Play()
    assert invariants.of_wake_up(play.state, play.history) == []
    early = play.state.but(deadline=T0 + SECOND)
    assert numbers(invariants.of_wake_up(early, play.history)) == {"12"}


@pytest.mark.semantics("invariant-13")
def test_a_gap_a_time_that_goes_back_and_a_status_that_cannot_follow() -> None:
    play = completed()
    whole = play.history
    assert "13" in numbers(invariants.of_history(Order.definition, [*whole[:-2], whole[-1]]))
    assert "13" in of_history(changed(play.events, -1, at=T0 - SECOND))
    turned = e.CompensationStarted(at=play.now, cause="m", by="w", reason="too late")
    assert "13" in of_history([*play.events, turned])


@pytest.mark.semantics("invariant-14")
def test_a_live_state_that_is_not_the_fold_of_the_bytes() -> None:
    play = Play()
    assert invariants.of_live_state(play.state, play.history) == []
    other = play.state.but(cancelled="somebody")
    assert numbers(invariants.of_live_state(other, play.history)) == {"14"}
    bytes_ = replace(play.history[0], stored=play.history[0].stored.replace(b"o1", b"o2"))
    assert numbers(invariants.of_live_state(play.state, [bytes_, *play.history[1:]])) == {"14"}


@pytest.mark.semantics("invariant-15")
def test_a_timeout_before_its_time() -> None:
    play = Play()
    play.tick()
    timed_out = next(at for at, event in enumerate(play.events) if isinstance(event, e.CommandTimedOut))
    early = play.events[timed_out].at - timedelta(milliseconds=1)
    assert "15" in of_history(changed(play.events[: timed_out + 1], timed_out, at=early))
    deadline = e.DeadlinePassed(at=T0 + SECOND, cause="timer", by="w")
    assert "15" in of_history([*Play().events, deadline])


@pytest.mark.semantics("invariant-2")
def test_a_key_that_is_answered_both_ways(watch: Watch) -> None:
    play = Play()
    saga, command = play.history[0].originator_id, play.commands[0]
    watch._commands[str(command.command_id)] = (saga, command)
    for message_id, outcome in (("a1", Outcome.SUCCEEDED), ("a2", Outcome.REJECTED)):
        headers = {
            "Amends-Outcome": str(outcome),
            "Amends-Saga-Id": str(saga),
            "Amends-Causation-Id": str(command.command_id),
        }
        watch.stored(Outgoing(message_id, "test.evt.inventory.reserved", headers, b"{}"), T0)
    assert command.direction is Direction.FORWARD
    assert numbers(watch.broken) == {"2"}


@pytest.mark.semantics("invariant-10")
def test_a_held_command_is_known_when_it_leaves_though_a_migration_renamed_its_step(watch: Watch) -> None:
    play = Play()
    saga, command = play.history[0].originator_id, play.commands[0].model_copy(update={"held": True})
    given = {"at": play.now, "cause": "m", "by": "w"}
    watch._note(saga, command)
    watch._note(saga, e.SagaMigrated(**given, reason="r", definition=2, steps={command.step: "anew"}))
    watch._note(saga, e.CommandReleased(**given, step="anew", expires=command.expires))
    assert watch._commands[str(command.command_id)] == (saga, command)
