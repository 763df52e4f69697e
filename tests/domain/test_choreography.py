"""The observer of a choreography: it follows the chain by the events that pass by, and finds where it broke."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amends import Choreography, Event, link
from amends.domain import events as e
from amends.domain.actions.refusing import name
from amends.domain.choreography.chain import Overdue
from amends.domain.errors import ActionRefused, DefinitionError
from amends.domain.evolve import fold
from amends.domain.inputs import Abandon, Cancel, Reschedule, Resume, Retry, Skip, Suspend
from amends.domain.told import Start
from tests.domain.chains import (
    MINUTE,
    CarBooked,
    CarRefused,
    FlightBooked,
    FlightCancelled,
    HotelBooked,
    HotelCancelled,
    HotelRefused,
    Play,
    Trip,
    TripBegun,
)

SILENT = (
    "hotels did not publish hotels.booked in time; it may have crashed between its transaction and its event"
)


# The chain


@pytest.mark.semantics("choreography-observer")
def test_each_link_waits_from_the_moment_that_the_event_before_it_came() -> None:
    play = Play()
    assert play.waits() == ["flight"]
    assert play.hear(FlightBooked) == ["event.received", "wait.succeeded", "wait.started"]
    assert play.waits() == ["hotel"]


def test_a_chain_whose_last_event_came_is_completed() -> None:
    play = Play()
    assert play.hear(FlightBooked, HotelBooked, CarBooked)[-1] == "saga.completed"
    assert play.known.wake_up is None


def test_an_event_that_overtook_another_is_kept_until_its_turn() -> None:
    play = Play()
    assert play.hear(HotelBooked) == ["event.received"]
    assert play.waits() == ["flight"]
    play.hear(FlightBooked)
    assert play.waits() == ["car"]


def test_an_event_that_comes_again_under_another_id_changes_nothing() -> None:
    play = Play()
    play.hear(FlightBooked)
    assert play.hear(FlightBooked, again="#2") == ["event.passed-over"]
    assert play.waits() == ["hotel"]


@given(st.permutations([FlightBooked, HotelBooked, CarBooked]))
def test_whatever_the_order_of_its_events_a_chain_ends_alike(order: list[type[Event]]) -> None:
    play = Play()
    play.hear(*order)
    assert play.known.status == "completed"


@given(st.permutations([FlightBooked, HotelBooked, CarRefused, HotelCancelled, FlightCancelled]))
def test_whatever_the_order_of_its_events_a_chain_that_is_turned_back_ends_alike(
    order: list[type[Event]],
) -> None:
    play = Play()
    play.hear(*order)
    assert play.known.status == "compensated"


def test_another_start_of_the_same_key_is_refused() -> None:
    play = Play()
    again = Start("start-2", play.known.id, "amends", "t1", "trips.begun", {"trip_id": "t1"})
    assert play.tell(again) == ["saga.start-refused"]


@pytest.mark.semantics("choreography-history")
def test_a_history_folds_without_the_definition() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked)
    play.pass_(3 * MINUTE)
    play.hear(CarRefused, HotelCancelled)
    assert fold(play.events, play.known.id) == play.known


@pytest.mark.semantics("choreography-history")
def test_the_shape_tells_both_chains_without_the_code() -> None:
    shape = Trip.definition.shape()
    assert shape["style"] == "choreography"
    assert [step["name"] for step in shape["steps"]] == ["flight", "hotel", "car"]
    links = {each["name"]: each for each in shape["links"]}
    assert [each["subject"] for each in links["flight_back"]["after"]] == [
        "hotels.cancelled",
        "hotels.refused",
    ]
    assert links["hotel"]["overdue"] == "compensate"
    assert shape["compensate_with"]["subject"] == "cars.refused"


# The compensation chain


@pytest.mark.semantics("choreography-observer")
def test_an_event_that_turns_the_chain_back_is_followed_through_the_compensation_chain() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked)
    assert play.hear(CarRefused) == ["event.received", "step.given-up", "saga.compensating", "wait.started"]
    assert (play.waits(), play.known.reason) == (["hotel_back"], "cars.refused came")
    play.hear(HotelCancelled)
    assert play.waits() == ["flight_back"]
    assert play.hear(FlightCancelled)[-1] == "saga.compensated"


def test_a_chain_that_is_turned_back_early_has_only_the_part_of_the_compensation_chain_that_it_needs() -> (
    None
):
    play = Play()
    play.hear(FlightBooked, HotelRefused)
    assert play.waits() == ["flight_back"]
    assert play.hear(FlightCancelled)[-1] == "saga.compensated"


def test_a_compensating_event_that_overtook_what_turned_the_chain_back_is_kept() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked, HotelCancelled, FlightCancelled)
    assert play.hear(CarRefused)[-1] == "saga.compensated"


def test_a_straggler_is_recorded_and_nothing_follows_from_it() -> None:
    play = Play()
    play.hear(FlightBooked, HotelRefused)
    assert play.hear(HotelBooked) == ["event.passed-over"]
    play.hear(FlightCancelled)
    assert play.hear(CarBooked) == ["event.passed-over"]
    assert play.known.status == "compensated"


def test_an_event_that_turns_a_completed_chain_back_reopens_it() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked, CarBooked)
    assert play.hear(CarRefused) == ["event.received", "saga.reopened", "wait.started"]
    play.hear(HotelCancelled)
    assert play.hear(FlightCancelled)[-1] == "saga.compensated"


# Silence


@pytest.mark.semantics("choreography-flag")
def test_a_link_that_is_silent_until_its_deadline_is_flagged_and_waited_for_further() -> None:
    play = Play()
    assert play.pass_(MINUTE) == ["wait.timed-out", "wait.parked"]
    assert play.parked() == ["flight"]
    play.hear(FlightBooked)
    assert (play.waits(), play.parked()) == (["hotel"], [])


@pytest.mark.semantics("choreography-republish")
def test_a_silent_service_is_asked_to_publish_again_what_it_has() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked)
    assert play.pass_(MINUTE) == ["wait.timed-out", "event.published", "wait.started"]
    assert play.published() == [("cars.republish-requested", {"key": "t1", "after": "hotels.booked"})]
    assert play.hear(CarBooked)[-1] == "saga.completed"


@pytest.mark.semantics("choreography-republish")
def test_a_service_that_stays_silent_when_it_was_asked_is_flagged() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked)
    play.pass_(MINUTE)
    assert play.pass_(MINUTE) == ["wait.timed-out", "wait.parked"]
    assert (play.parked(), len(play.published())) == (["car"], 1)


@pytest.mark.semantics("choreography-compensate")
def test_a_chain_with_a_silent_service_is_turned_back_by_the_compensating_event() -> None:
    play = Play()
    play.hear(FlightBooked)
    recorded = play.pass_(MINUTE)
    assert recorded == [
        "wait.timed-out",
        "event.published",
        "step.given-up",
        "saga.compensating",
        "wait.started",
    ]
    assert play.published() == [("cars.refused", {"trip_id": "t1"})]
    assert play.known.reason == SILENT
    assert play.hear(CarRefused) == ["event.received"], "its own event, as everybody hears it"
    play.hear(HotelCancelled)
    assert play.hear(FlightCancelled)[-1] == "saga.compensated"


def test_the_observers_own_event_need_not_come_by() -> None:
    play = Play()
    play.hear(FlightBooked)
    play.pass_(MINUTE)
    play.hear(HotelCancelled)
    assert play.hear(FlightCancelled)[-1] == "saga.compensated"


def test_a_compensating_link_that_is_silent_is_flagged_or_asked_too() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked, CarRefused)
    assert play.pass_(MINUTE) == ["wait.timed-out", "wait.parked"]
    play.hear(HotelCancelled)
    assert play.pass_(MINUTE) == ["wait.timed-out", "event.published", "wait.started"]
    asked = {"key": "t1", "after": "hotels.cancelled"}
    assert play.published() == [("flights.republish-requested", asked)]


class Slowly(Choreography, name="slowly", version=1, key="trip_id", deadline=5 * MINUTE):
    flight = link(TripBegun, "flights", FlightBooked, within=MINUTE)
    hotel = link(FlightBooked, "hotels", HotelBooked, overdue="republish")


@pytest.mark.semantics("choreography-observer")
def test_a_link_without_a_limit_of_its_own_has_until_the_deadline_of_the_whole_chain() -> None:
    play = Play(Slowly)
    play.hear(FlightBooked)
    assert play.pass_(4 * MINUTE) == []
    recorded = play.pass_(MINUTE)
    assert recorded == ["saga.deadline-passed", "wait.timed-out", "event.published", "wait.started"]


def test_the_deadline_flags_what_is_awaited_once() -> None:
    play = Play(Slowly)
    assert play.pass_(MINUTE) == ["wait.timed-out", "wait.parked"]
    assert play.pass_(9 * MINUTE) == ["saga.deadline-passed"]
    assert play.known.status == "running"


# Operators


def test_a_cancelled_chain_is_turned_back_by_its_compensating_event() -> None:
    play = Play()
    play.hear(FlightBooked)
    play.tell(Cancel("c1", "the traveller is ill"))
    assert play.known.status == "compensating"
    assert play.published() == [("cars.refused", {"trip_id": "t1"})]


def test_a_chain_without_a_compensating_event_cannot_be_cancelled() -> None:
    play = Play(Slowly)
    with pytest.raises(ActionRefused, match="names no such event"):
        play.tell(Cancel("c1", "the traveller is ill"))
    play.tell(Suspend("s1", "maintenance"))
    with pytest.raises(ActionRefused, match="names no such event"):
        play.tell(Cancel("c2", "the traveller is ill"))


def test_retrying_a_link_asks_its_service_to_publish_again() -> None:
    play = Play()
    play.pass_(MINUTE)
    assert play.tell(Retry("r1", "it is up again", step="flight")) == ["timer.rescheduled", "event.published"]
    assert (play.parked(), play.published()[0][0]) == ([], "flights.republish-requested")
    assert play.pass_(MINUTE) == ["wait.timed-out", "wait.parked"]
    with pytest.raises(ActionRefused, match="nothing is asked for step 'car'"):
        play.tell(Retry("r2", "it is up again", step="car"))


def test_a_link_can_be_skipped_on_either_way() -> None:
    play = Play()
    play.tell(Skip("s1", "they phoned", step="flight"))
    assert play.waits() == ["hotel"]
    play.hear(CarRefused)
    play.tell(Skip("s2", "they phoned", step="hotel_back"))
    assert play.waits() == ["flight_back"]


def test_a_suspended_chain_takes_note_of_events_and_applies_no_timer() -> None:
    play = Play()
    play.tell(Suspend("s1", "maintenance"))
    assert play.hear(FlightBooked) == ["event.received"]
    assert play.pass_(9 * MINUTE) == []
    play.tell(Resume("s2", "done"))
    assert play.waits() == ["hotel"]


def test_a_deadline_can_be_taken_away_and_a_link_still_begins() -> None:
    play = Play(Slowly)
    play.tell(Reschedule("d1", "take your time"))
    play.hear(FlightBooked)
    assert play.pass_(timedelta(days=365)) == []


def test_an_abandoned_chain_has_failed_and_hears_nothing_more() -> None:
    play = Play()
    play.hear(FlightBooked, HotelBooked, CarRefused, HotelCancelled)
    play.tell(Abandon("a1", "nobody wants it"))
    failed = play.events[-1]
    assert isinstance(failed, e.SagaFailed)
    assert failed.effects == ("flight",), "the hotel told that it is cancelled"
    assert play.hear(FlightCancelled) == ["event.passed-over"]
    assert name(play.known) == "trip 't1'"


# What is refused


class Broken(Event, subject="flights.broken"):
    plane: str


class Needy(Event, subject="cars.needy"):
    trip_id: str
    because: str


FLIGHT = link(TripBegun, "flights", FlightBooked, within=MINUTE)
BACK = link(CarRefused, "hotels", HotelCancelled, within=MINUTE, compensating=True)


@pytest.mark.parametrize(
    ("links", "options", "why"),
    [
        ({}, {}, "expected it to begin with a link"),
        ({"back": BACK}, {}, "to begin with a link"),
        ({"f": link((TripBegun, CarRefused), "a", FlightBooked, within=MINUTE)}, {}, "comes after one event"),
        ({"f": link(TripBegun, "flights", Broken, within=MINUTE)}, {}, "expected key to name fields of Broken"),
        ({"f": link(TripBegun, "flights", FlightBooked)}, {}, "expected within="),
        ({"f": FLIGHT}, {"name": "No Name"}, "expected a name"),
        ({"f": FLIGHT}, {"version": 0}, "expected a version"),
        ({"f": FLIGHT}, {"deadline": timedelta(0)}, "expected a deadline"),
        ({"f": FLIGHT, "c": link(HotelBooked, "cars", CarBooked, within=MINUTE)}, {}, "got HotelBooked"),
        ({"f": FLIGHT, "g": link(TripBegun, "g", FlightBooked, within=MINUTE)}, {}, "to come from one place"),
        (
            {"f": FLIGHT, "b": link(FlightBooked, "b", HotelCancelled, within=MINUTE, compensating=True)},
            {},
            "with which the chain goes on",
        ),
        (
            {"f": FLIGHT, "b": link(CarRefused, "b", HotelCancelled, compensating=True)},
            {"deadline": MINUTE},
            "the deadline is for the way forwards",
        ),
        (
            {"f": FLIGHT, "b": replace(BACK, overdue=Overdue.COMPENSATE)},
            {"compensate_with": CarRefused},
            "it undoes already",
        ),
        ({"f": replace(FLIGHT, overdue=Overdue.COMPENSATE)}, {}, "to name compensate_with="),
        ({"f": FLIGHT}, {"compensate_with": Needy}, "Needy needs because too"),
        (
            {"f": FLIGHT, "b": BACK},
            {"compensate_with": HotelCancelled},
            "which a link publishes",
        ),
        (
            {"f": FLIGHT, "c": replace(FLIGHT, after=(TripBegun, FlightBooked), publishes=CarBooked)},
            {},
            "only a link that undoes may come after any of several",
        ),
        ({"f": replace(FLIGHT, service="The Airline")}, {}, "expected the name of a participant"),
        ({"flüge": FLIGHT}, {}, "expected a name in ASCII"),
    ],
)  # fmt: skip
def test_a_chain_that_cannot_be_observed_is_refused(
    links: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    given = {"name": "chain", "version": 1, "key": "trip_id", **options}
    with pytest.raises(DefinitionError, match=why):
        type("Chain", (Choreography,), links, **given)


def test_a_link_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(DefinitionError, match="within="):
        link(TripBegun, "flights", FlightBooked, within=timedelta(0))
    with pytest.raises(DefinitionError, match="overdue"):
        link(TripBegun, "flights", FlightBooked, overdue="panic")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Hasty(Trip, name="trip", version=2, key="trip_id", compensate_with=CarRefused, deadline=MINUTE):
    hotel = link(FlightBooked, "hotels", HotelBooked, within=MINUTE / 60)


def test_a_subclass_replaces_a_link_in_its_place() -> None:
    chain = Hasty.definition.chain
    assert chain is not None
    assert [each.name for each in chain.forward] == ["flight", "hotel", "car"]
    assert chain.link("hotel").within == MINUTE / 60
