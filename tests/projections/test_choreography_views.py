"""An observed choreography in the tools that every saga has: story, standing, timeline, and what-if."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console

from amends.cli.timeline import drawn
from amends.domain.aggregate import SagaAggregate
from amends.domain.history import Recorded
from amends.projections.story import standing, story
from amends.projections.timeline.reading import chart
from amends.projections.whatif.differences import compare
from tests.domain.chains import MINUTE, CarRefused, FlightBooked, HotelBooked, HotelCancelled, Play, Trip


def silent_hotel() -> Play:
    """The hotel was silent, so the trip is undone; the hotel's straggler came, and the flight is silent now."""
    play = Play()
    play.hear(FlightBooked)
    play.pass_(MINUTE)
    play.hear(CarRefused, HotelCancelled, HotelBooked)
    play.pass_(2 * MINUTE)
    return play


def history_of(play: Play) -> Sequence[Recorded]:
    return SagaAggregate(play.known.id).append(play.events)


@pytest.mark.semantics("choreography-history")
def test_the_story_tells_silence_what_was_published_and_the_straggler() -> None:
    said = [each["sentence"] for each in story(history_of(silent_hotel()))]
    assert "hotel waited in vain: nothing came in time" in said
    assert "published the event cars.refused" in said
    assert "heard of hotels.booked, from which nothing follows: the chain is compensating" in said


@pytest.mark.semantics("choreography-history")
def test_where_it_stands_names_the_link_that_a_person_should_look_at() -> None:
    play = silent_hotel()
    shown = standing(play.known, len(play.events))
    [wait] = shown["waits"]
    assert (wait["step"], wait["parked"], wait["for"]) == ("flight_back", True, "flights.cancelled")
    assert shown["steps"]["hotel_back"] == "done"


@pytest.mark.semantics("choreography-history")
def test_the_timeline_has_a_row_for_each_link_of_both_chains() -> None:
    console = Console(width=120, file=StringIO())
    console.print(drawn(chart(history_of(silent_hotel())), 120))
    page = console.file.getvalue()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    assert all(f"\n{link} " in page for link in ("flight", "hotel", "hotel_back", "flight_back"))
    assert "waited for flights.cancelled" in page


def test_its_own_definition_would_have_done_the_same() -> None:
    assert not compare(Trip.definition, history_of(silent_hotel())).differences
