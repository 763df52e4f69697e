"""Services that react to each other's events: the promises of commands hold for reactions, on either database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from amends.domain import wire
from amends.infrastructure.clock import SystemClock
from amends.participant import Rejected, Tx
from amends.testing.services import ServiceDatabase
from tests.participant.rooms import (
    CarRefused,
    FlightBooked,
    Hotel,
    HotelBooked,
    MemoryHotel,
    NothingHeard,
    Numbered,
    RealHotel,
    TripEnded,
    booked,
    event,
    hears,
    note,
    refused,
    republish,
)
from tests.participant.service import Service

BOOKED = ("hotels.booked", {"trip_id": "t1", "room": 7})
CANCELLED = ("hotels.cancelled", {"trip_id": "t1"})


@pytest.fixture(params=["postgresql", "memory"])
def hotel(request: pytest.FixtureRequest) -> Hotel:
    if request.param == "memory":
        return MemoryHotel(ServiceDatabase(SystemClock()))
    service: Service = request.getfixturevalue("service")
    return RealHotel(service.connection)


@pytest.mark.semantics("choreography-promises")
async def test_a_reaction_does_its_work_and_publishes_the_next_event(hotel: Hotel) -> None:
    assert await hears(hotel, booked()) == [BOOKED]
    assert await hotel.effects() == ["book"]


async def test_the_next_event_goes_through_the_outbox_with_the_chains_key_and_its_trace(hotel: Hotel) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answered = await hotel.hear(booked("größe 1", headers={wire.TRACEPARENT: trace}))
    [message] = [each.message for each in answered.recorded]
    assert message.headers[wire.KEY] == "gr%C3%B6%C3%9Fe%201"
    assert message.headers[wire.TRACEPARENT] == trace
    assert wire.CAUSATION_ID not in message.headers


async def test_a_reaction_without_a_next_event_publishes_nothing(hotel: Hotel) -> None:
    assert await hears(hotel, booked(behave="silently")) == []
    assert await hotel.effects() == ["book"]


@pytest.mark.semantics("choreography-promises")
async def test_one_key_takes_effect_once_however_often_its_event_comes(hotel: Hotel) -> None:
    same = booked()
    first = await hotel.hear(same)
    again = await hotel.hear(same, booked())
    ids = {each.message.message_id for each in (*first.recorded, *again.recorded)}
    assert len(ids) == 1, "the same event told again is the same message"
    assert await hotel.effects() == ["book"]


async def test_each_key_has_a_row_of_its_own(hotel: Hotel) -> None:
    assert len(await hears(hotel, booked("t1"), booked("t2"))) == 2
    assert (await hotel.effects("t1"), await hotel.effects("t2")) == (["book"], ["book"])


@pytest.mark.semantics("choreography-promises")
async def test_a_no_is_rolled_back_and_told_by_its_event(hotel: Hotel) -> None:
    assert await hears(hotel, booked(behave="refuse")) == [("hotels.refused", {"trip_id": "t1"})]
    assert await hears(hotel, booked()) == [("hotels.refused", {"trip_id": "t1"})], "a no is definite"
    assert await hotel.effects() == []


async def test_a_no_that_names_no_event_is_told_by_one_that_is_made_of_the_key(hotel: Hotel) -> None:
    @hotel.participant.reacts_to(HotelBooked, key="trip_id", rejected=NothingHeard)
    async def refuse(told: HotelBooked, tx: Tx) -> None:
        raise Rejected("no", "why should we")

    told = await hears(hotel, event(HotelBooked(trip_id="t1", room=1)))
    assert told == [("hotels.nothing-heard", {"trip_id": "t1"})]
    assert await hears(hotel, republish(HotelBooked)) == told


async def test_what_cannot_be_made_of_the_key_is_a_dead_letter_and_the_rest_goes_on(hotel: Hotel) -> None:
    @hotel.participant.reacts_to(HotelBooked, key="trip_id", rejected=Numbered)
    async def refuse(told: HotelBooked, tx: Tx) -> None:
        raise Rejected("no", "why should we")

    answered = await hotel.hear(event(HotelBooked(trip_id="t1", room=1)), booked())
    assert [each.message.subject for each in answered.recorded] == [
        "amends.evt.hotels.booked",
        "amends.dead.hotels",
    ]


async def test_an_event_of_a_service_that_gives_no_ids_is_reacted_to_as_well(hotel: Hotel) -> None:
    assert await hears(hotel, booked(headers={wire.CE_ID: ""}), booked(headers={wire.CE_ID: "ü\n"})) == [
        BOOKED,
        BOOKED,
    ]
    assert await hotel.effects() == ["book"]


async def test_a_no_without_an_event_ends_the_chain_here(hotel: Hotel) -> None:
    assert await hears(hotel, booked(behave="refuse silently")) == []
    assert await hears(hotel, booked()) == []
    assert await hotel.effects() == []


@pytest.mark.semantics("choreography-promises")
@pytest.mark.parametrize("behave", ["fail", "break"])
async def test_a_reaction_that_fails_is_rolled_back_and_delivered_again(hotel: Hotel, behave: str) -> None:
    failing, other = booked(behave=behave), booked("t2")
    answered = await hotel.hear(failing, other)
    assert answered.postponed == [failing]
    assert (await hotel.effects("t1"), await hotel.effects("t2")) == ([], ["book"])
    assert await hears(hotel, booked()) == [BOOKED], "that it failed is not held against the key"


async def test_a_reaction_that_fails_ten_times_is_a_dead_letter(hotel: Hotel) -> None:
    answered = await hotel.hear(booked(behave="fail", deliveries=10))
    assert answered.postponed == []
    [letter] = [each.message for each in answered.recorded]
    assert letter.subject == "amends.dead.hotels"
    assert "the desk is busy" in letter.headers[wire.DEAD_REASON]


async def test_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(hotel: Hotel) -> None:
    answered = await hotel.hear(event(FlightBooked(trip_id=""), body=b"{}"), booked())
    assert [each.message.subject for each in answered.recorded] == [
        "amends.evt.hotels.booked",
        "amends.dead.hotels",
    ]


async def test_an_event_without_its_key_is_a_dead_letter(hotel: Hotel) -> None:
    answered = await hotel.hear(booked(""), event(TripEnded(trip_id="t1")), booked("t\x001"))
    reasons = [each.message.headers[wire.DEAD_REASON] for each in answered.recorded]
    assert "NUL" in reasons[2]
    assert "trip_id" in reasons[0]
    assert wire.KEY in reasons[1]


async def test_without_named_fields_the_header_tells_the_key(hotel: Hotel) -> None:
    ended = event(TripEnded(trip_id="t1"), headers={wire.KEY: "trip 1"})
    await hotel.hear(ended, event(TripEnded(trip_id="t1"), headers={wire.KEY: "trip%201"}))
    assert await hotel.effects() == ["tidy"]


async def test_an_event_from_before_the_horizon_is_never_reacted_to(hotel: Hotel) -> None:
    [letter] = [each.message for each in (await hotel.hear(booked(ago=timedelta(days=31)))).recorded]
    assert "forgotten" in letter.headers[wire.DEAD_REASON]
    assert await hotel.effects() == []


# A compensating event


async def test_a_compensating_event_undoes_what_took_effect_once(hotel: Hotel) -> None:
    await hotel.hear(booked())
    assert await hears(hotel, refused()) == [CANCELLED]
    assert await hears(hotel, refused()) == [CANCELLED]
    assert await hotel.effects() == ["book", "cancel"]


@pytest.mark.semantics("choreography-straggler")
async def test_a_compensating_event_that_finds_nothing_leaves_a_tombstone(hotel: Hotel) -> None:
    assert await hears(hotel, refused()) == [CANCELLED], "the compensation chain goes on"
    assert await hears(hotel, booked()) == [], "a straggler does not carry on"
    assert await hotel.effects() == []


@pytest.mark.semantics("choreography-straggler")
async def test_a_straggler_in_the_same_batch_as_the_compensating_event_does_nothing(hotel: Hotel) -> None:
    assert await hears(hotel, refused(), booked()) == [CANCELLED]
    assert await hotel.effects() == []


async def test_what_was_refused_needs_no_undoing(hotel: Hotel) -> None:
    await hotel.hear(booked(behave="refuse"))
    assert await hears(hotel, refused()) == [CANCELLED]
    assert await hotel.effects() == []


@pytest.mark.parametrize("behave", ["refuse", "fail"])
async def test_an_undoing_is_never_refused_but_tried_again(hotel: Hotel, behave: str) -> None:
    await hotel.hear(booked())
    failing = refused(behave=behave)
    assert (await hotel.hear(failing)).postponed == [failing]
    assert await hears(hotel, refused()) == [CANCELLED]
    assert await hotel.effects() == ["book", "cancel"]


# Publishing again


async def test_asked_to_publish_again_it_tells_what_it_stored_as_the_same_message(hotel: Hotel) -> None:
    [first] = (await hotel.hear(booked())).recorded
    [again] = (await hotel.hear(republish(FlightBooked))).recorded
    assert (again.message.message_id, again.message.body) == (first.message.message_id, first.message.body)
    assert again.message.deduplication_id != first.message.deduplication_id, "the broker must not drop it"
    assert await hotel.effects() == ["book"]


async def test_asked_to_publish_again_it_tells_its_no_too(hotel: Hotel) -> None:
    await hotel.hear(booked(behave="refuse"))
    assert await hears(hotel, republish(FlightBooked)) == [("hotels.refused", {"trip_id": "t1"})]


async def test_asked_to_publish_again_it_tells_its_compensation(hotel: Hotel) -> None:
    await hotel.hear(booked(), refused())
    assert await hears(hotel, republish(CarRefused)) == [CANCELLED]
    await hotel.hear(refused("t2"))
    assert await hears(hotel, republish(CarRefused, "t2")) == [("hotels.cancelled", {"trip_id": "t2"})]


async def test_asked_to_publish_again_what_never_happened_it_is_silent_and_leaves_no_trace(
    hotel: Hotel,
) -> None:
    assert await hears(hotel, republish(FlightBooked), republish(CarRefused), republish(HotelBooked)) == []
    [letter] = (await hotel.hear(republish(FlightBooked, "t\x001"))).recorded
    assert "NUL" in letter.message.headers[wire.DEAD_REASON]
    assert await hears(hotel, booked()) == [BOOKED]
    assert await hears(hotel, republish(CarRefused)) == [], "what was not undone has no such event"


async def test_one_event_is_told_to_each_of_its_reactions_and_each_has_its_own_row(hotel: Hotel) -> None:
    @hotel.participant.reacts_to(CarRefused, key="trip_id")
    async def apologise(told: CarRefused, tx: Tx) -> None:
        await note(tx, told.trip_id, "apologise")

    await hotel.hear(booked(), refused(), refused())
    assert await hotel.effects() == ["apologise", "book", "cancel"]


async def test_an_event_that_nobody_reacts_to_is_a_dead_letter(hotel: Hotel) -> None:
    [letter] = (await hotel.hear(event(HotelBooked(trip_id="t1", room=1)))).recorded
    assert "reacts to" in letter.message.headers[wire.DEAD_REASON]
