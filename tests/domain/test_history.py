"""What is recorded: bytes, stable names, upcasting, the hash chain; replay without a definition."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any
from uuid import UUID

import pytest

from amends.domain import events as e
from amends.domain import history
from amends.domain.aggregate import SagaAggregate
from amends.domain.errors import BrokenHistory, UnreadableEvent
from amends.domain.evolve import fold
from amends.domain.history import Recorded, read, verify
from tests.domain.driver import T0, Play

NAMES = {
    "saga.started",
    "saga.start-refused",
    "saga.completed",
    "saga.compensating",
    "saga.compensated",
    "saga.reopened",
    "saga.deadline-passed",
    "saga.cancel-requested",
    "step.skipped",
    "step.given-up",
    "step.compensation-passed-over",
    "command.recorded",
    "command.succeeded",
    "command.rejected",
    "command.failed",
    "command.timed-out",
    "command.retry-scheduled",
    "command.parked",
    "command.contradiction",
}


def played() -> list[Recorded]:
    play = Play()
    play.tick()
    play.tick()
    play.succeed("reserve")
    play.reject("charge", details={"limit": 5.0, "names": ["é", None]})
    play.succeed("undo reserve")
    return play.history


def again(recorded: Recorded, **changes: Any) -> Recorded:
    """The event as it is read back from the store, with something else in its place."""
    changed = replace(recorded, **changes)
    return read(changed.originator_id, changed.originator_version, changed.topic, changed.stored)


@pytest.mark.semantics("event-fields")
def test_the_stable_names_are_those_under_which_histories_are_stored() -> None:
    assert set(e.EVENT_TYPES) >= NAMES
    assert {kind.schema_version for kind in e.EVENT_TYPES.values()} == {1}


def test_events_survive_the_way_through_their_bytes() -> None:
    for recorded in played():
        assert again(recorded) == recorded


@pytest.mark.semantics("event-fields")
def test_every_event_says_when_what_caused_it_and_who() -> None:
    for recorded in played():
        body = json.loads(recorded.stored)
        assert body["at"].startswith("2026-01-01T")
        assert body["cause"]
        assert body["by"] == "test"


@pytest.mark.semantics("replay")
def test_a_history_replays_with_no_definition_loaded() -> None:
    recorded = played()
    stored = [(r.originator_id, r.originator_version, r.topic, r.stored) for r in recorded]
    state = fold((read(*row).event for row in stored), recorded[0].originator_id)
    assert state == fold((r.event for r in recorded), recorded[0].originator_id)
    assert state is not None
    assert state.status == "compensated"
    assert state.step("reserve").forward.rounds[0].payload == {"order_id": "o1"}


def test_a_chain_that_is_whole_is_accepted() -> None:
    verify([again(recorded) for recorded in played()])


@pytest.mark.semantics("event-fields")
def test_each_event_carries_the_hash_of_the_one_before() -> None:
    first, second, *_ = played()
    assert history.previous_of(first.stored) == ""
    assert history.previous_of(second.stored) == first.digest
    assert len(first.digest) == 64


def tampered() -> Iterator[list[Recorded]]:
    whole = played()
    middle = len(whole) // 2
    stored = whole[middle].stored
    yield [
        *whole[:middle],
        again(whole[middle], stored=stored.replace(b"o1", b"o2") + b" "),
        *whole[middle + 1 :],
    ]
    yield [*whole[:middle], *whole[middle + 1 :]]  # one is missing
    yield [*whole[:1], whole[2], whole[1], *whole[3:]]  # two are exchanged
    renumbered = [replace(r, originator_version=i) for i, r in enumerate([*whole[:1], *whole[2:]], start=1)]
    yield renumbered
    yield [replace(r, originator_id=UUID(int=1)) for r in whole]  # another saga's
    yield [replace(r, topic=r.topic + "0") if i == middle else r for i, r in enumerate(whole)]


@pytest.mark.parametrize("case", range(6))
@pytest.mark.semantics("hash")
def test_tampering_is_found(case: int) -> None:
    with pytest.raises(BrokenHistory):
        verify(list(tampered())[case])


def test_the_aggregate_refuses_a_history_with_a_gap() -> None:
    whole = played()
    aggregate = SagaAggregate(whole[0].originator_id)
    with pytest.raises(BrokenHistory, match="expected version 2, got 3"):
        aggregate.load([whole[0], whole[2]])


def test_the_aggregate_continues_the_chain_that_it_loaded() -> None:
    whole = played()
    aggregate = SagaAggregate(whole[0].originator_id)
    aggregate.load(whole)
    assert aggregate.collect_events() == []
    refused = e.StartRefused(at=T0, cause="m", by="test", reason="taken")
    appended = aggregate.append([refused])
    verify([*whole, *appended])
    assert aggregate.collect_events() == appended
    assert aggregate.collect_events() == []


def test_a_history_that_does_not_begin_with_a_start_is_refused() -> None:
    whole = played()
    with pytest.raises(BrokenHistory, match="expected its history to begin with a start, got command"):
        fold([whole[1].event], whole[0].originator_id)
    with pytest.raises(BrokenHistory, match="a second start"):
        fold([whole[0].event, whole[0].event], whole[0].originator_id)


@pytest.mark.parametrize(
    ("topic", "stored", "text"),
    [
        ("saga.unheard-of:1", b"{}", "no such type.*upgrade this program"),
        ("saga.completed:2", b"{}", "saga.completed:1.*got 'saga.completed:2'"),
        ("saga.completed", b"{}", "got 'saga.completed'"),
        ("saga.completed:0", b"{}", "no upcaster from schema version 0"),
        ("saga.completed:1", b"{}", "is not what its type says"),
        ("saga.completed:1", b"\xff", "is not what its type says"),
    ],
)
def test_what_cannot_be_read_is_refused(topic: str, stored: bytes, text: str) -> None:
    with pytest.raises(UnreadableEvent, match=text):
        read(UUID(int=7), 3, topic, stored)


@pytest.mark.semantics("hash", "stored-as-is")
def test_old_shapes_are_upcast_on_reading_and_the_chain_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = played()
    at = next(i for i, r in enumerate(whole) if r.topic == "command.timed-out:1")
    monkeypatch.setattr(e.CommandTimedOut, "schema_version", 3)
    monkeypatch.setitem(
        history.UPCASTERS, ("command.timed-out", 1), lambda old: {**old, "step": old["step"] + "2"}
    )
    monkeypatch.setitem(
        history.UPCASTERS, ("command.timed-out", 2), lambda old: {**old, "step": old["step"] + "3"}
    )
    upcast = [again(recorded) for recorded in whole]
    event = upcast[at].event
    assert isinstance(event, e.CommandTimedOut)
    assert event.step == "reserve23"
    assert upcast[at].stored == whole[at].stored
    verify(upcast)


@pytest.mark.semantics("hash")
def test_the_chain_holds_when_nobody_can_decrypt_a_part_any_more() -> None:
    keys = {"o1": b"\x17\x2a\x55"}

    def turned(text: bytes, name: str) -> bytes:
        return bytes(byte ^ pad for byte, pad in zip(text, cycle(keys[name]), strict=False))

    sealed = b64encode(turned(b"4111 1111 1111 1111", "o1")).decode()
    play = Play(start=False)
    play.give(replace(play.first, payload={"order_id": "o1", "total": 1, "card": sealed}))
    play.succeed("reserve")
    assert turned(b64decode(play.state.start["card"]), "o1") == b"4111 1111 1111 1111"
    del keys["o1"]
    whole = [again(each) for each in play.history]
    verify(whole)
    assert fold([each.event for each in whole], play.id) == play.state
    with pytest.raises(KeyError):
        turned(b64decode(play.state.start["card"]), "o1")


STORED = (
    (
        "saga.started:1",
        (
            b'{"previous":"","at":"2026-01-01T00:00:00Z","cause":"m1","by":"w1","saga":"order","definition":1,'
            b'"namespace":"ns","key":"o1","subject":"orders.placed","start":{"order_id":"o1"}}'
        ),
    ),
    (
        "command.recorded:1",
        (
            b'{"previous":"ab","at":"2026-01-01T00:00:01Z","cause":"m1","by":"w1","step":"charge",'
            b'"command_id":"7d9f8bbd-9e0b-5b6c-8d4e-000000000001","key":"7d9f8bbd-9e0b-5b6c-8d4e-000000000002",'
            b'"subject":"payments.charge","reply_subject":"payments.charged","payload":{"amount":"5.00"},'
            b'"expires":"2026-01-01T00:00:31Z"}'
        ),
    ),
    (
        "command.rejected:1",
        b'{"previous":"cd","at":"2026-01-01T00:00:02Z","cause":"m2","by":"w1","step":"charge"}',
    ),
)


@pytest.mark.semantics("stored-as-is")
def test_what_the_first_release_stored_means_the_same_for_ever() -> None:
    """What equals its default is not stored, so no default may change without a new schema version."""
    _, recorded, rejected = (read(UUID(int=7), i, *row).event for i, row in enumerate(STORED, start=1))
    assert isinstance(recorded, e.CommandRecorded)
    assert (recorded.direction, recorded.round, recorded.attempt) == ("forward", 1, 1)
    assert (recorded.payload, recorded.forward_key, recorded.trace) == ({"amount": "5.00"}, None, "")
    assert isinstance(rejected, e.CommandRejected)
    assert (rejected.code, rejected.reason, rejected.details, rejected.attempt) == ("", "", None, 1)


@pytest.mark.semantics("hash")
def test_the_hash_covers_saga_version_type_and_bytes() -> None:
    digests = {
        history.digest(UUID(int=1), 1, "a:1", b"{}"),
        history.digest(UUID(int=2), 1, "a:1", b"{}"),
        history.digest(UUID(int=1), 2, "a:1", b"{}"),
        history.digest(UUID(int=1), 1, "a:2", b"{}"),
        history.digest(UUID(int=1), 1, "a:1", b"{} "),
        history.digest(UUID(int=1), 1, "a:1{", b"}"),
    }
    assert len(digests) == 6
