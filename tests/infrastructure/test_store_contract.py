"""What every store does, in memory and in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from amends.domain import events as e
from amends.domain.aggregate import SagaAggregate
from amends.domain.correlation import LearntKey
from amends.domain.errors import SchemaNotHeld, UnreadableEvent
from amends.domain.events import EVENT_TYPES
from amends.domain.history import verify
from amends.infrastructure.broker import Mark
from amends.infrastructure.headers import Headers, plain
from amends.infrastructure.jobs import JobItem
from amends.infrastructure.ports import (
    Commit,
    Handled,
    Held,
    Incoming,
    KeysTaken,
    MissingVersion,
    Unclaimed,
    Which,
)
from amends.infrastructure.shapes import ShapeDiffers
from tests.infrastructure.conftest import AnyStore
from tests.infrastructure.store_data import (
    HELD_HERE,
    HOUR,
    NOW,
    SECOND,
    UNHEARD_OF,
    batch,
    completed,
    dead,
    held,
    incoming,
    new,
    outgoing,
    recorded_as,
    released,
    row,
    skipped,
    started,
)

EXPIRED = timedelta(0)
PAYMENT = LearntKey("order", "payment", "p1")


# Histories


async def test_what_was_committed_is_loaded_byte_for_byte(store: AnyStore) -> None:
    one, other = started("o1"), started("o2")
    committed = one.append([skipped("a"), skipped("b")])
    assert await store.commit(new(one, other)) == frozenset()
    loaded = await store.load([one.id, other.id])
    assert {id_: each.version for id_, each in loaded.aggregates.items()} == {one.id: 3, other.id: 1}
    assert loaded.aggregates[one.id].state == one.state
    history = await store.history(one.id)
    assert [each.stored for each in history[1:]] == [each.stored for each in committed]
    assert history[1:] == list(committed)
    unread = await store.unread(one.id)
    assert (list(unread), unread[1:], len(unread)) == (history, history[1:], 3)


async def test_the_hash_chain_holds_over_several_commits(store: AnyStore) -> None:
    saga = started()
    await store.commit(new(saga))
    for version in range(1, 4):
        again = (await store.load([saga.id])).aggregates[saga.id]
        again.append([skipped(f"s{version}")])
        await store.commit(batch((again, version)))
    history = await store.history(saga.id)
    assert len(history) == 4
    verify(history)


async def test_an_unknown_saga_is_loaded_empty(store: AnyStore) -> None:
    unknown = uuid4()
    loaded = await store.load([unknown])
    assert loaded.aggregates[unknown].version == 0
    assert loaded.aggregates[unknown].state is None
    assert (await store.load([])).aggregates == {}


@pytest.mark.semantics("clock")
async def test_the_clock_is_aware_and_not_before_what_was_committed(store: AnyStore) -> None:
    first = (await store.load([])).now
    assert first.utcoffset() == timedelta(0)
    assert (await store.load([])).now >= first


async def test_an_unreadable_history_does_not_hide_the_others(store: AnyStore) -> None:
    good, bad = started("o1"), recorded_as(started("o2"), topic=UNHEARD_OF)
    await store.commit(new(good, bad))
    loaded = await store.load([good.id, bad.id])
    assert set(loaded.aggregates) == {good.id}
    assert isinstance(loaded.unreadable[bad.id], UnreadableEvent)


async def test_events_of_all_sagas_are_told_in_the_order_of_commits(store: AnyStore) -> None:
    one, two = started("o1"), started("o2")
    one.append([skipped(), completed()])
    await store.commit(new(one))
    await store.commit(new(two))
    types = ["saga.started", "saga.completed"]
    first = await store.recorded_since(NOW - HOUR, types, 0, 2)
    assert [(each.originator_id, each.topic) for _, each in first] == [
        (one.id, "saga.started:1"),
        (one.id, "saga.completed:1"),
    ]
    rest = await store.recorded_since(NOW - HOUR, types, first[-1][0], 2)
    assert [each for _, each in rest] == await store.history(two.id)
    assert await store.recorded_since(NOW + HOUR, types, 0, 2) == []


async def test_dead_letters_are_listed_in_pages(store: AnyStore) -> None:
    letters = [dead(f"m{number}") for number in (2, 1, 3)]
    await store.commit(Commit(dead=letters))
    first = await store.dead_letters("", 2)
    assert first == [letters[1], letters[0]]
    assert await store.dead_letters(first[-1].message_id, 2) == [letters[2]]
    assert await store.dead_letters("m3", 2) == []


# Conflicts


async def test_one_conflict_does_not_cost_the_rest_its_work(store: AnyStore) -> None:
    stale, fine = started("o1"), started("o2")
    await store.commit(new(stale, fine))
    quicker = (await store.load([stale.id])).aggregates[stale.id]
    quicker.append([skipped("quicker")])
    assert await store.commit(batch((quicker, 1))) == frozenset()

    stale.append([skipped("slower")])
    fine.append([skipped("fine")])
    fresh = started("o3")
    outbox = [(stale.id, outgoing("lost")), (fine.id, outgoing("kept")), (None, outgoing("free"))]
    commit = replace(
        batch((stale, 1), (fine, 1), (fresh, 0), outbox=outbox), dead=[dead()], held=[held("h1")]
    )
    assert await store.commit(commit) == {stale.id}

    loaded = await store.load([stale.id, fine.id, fresh.id])
    assert {id_: each.version for id_, each in loaded.aggregates.items()} == {
        stale.id: 2,
        fine.id: 2,
        fresh.id: 1,
    }
    state = loaded.aggregates[stale.id].state
    assert state is not None
    assert set(state.steps) == {"quicker"}
    assert [each.message_id for each in await store.unpublished(10, EXPIRED)] == ["kept", "free"]
    assert [each.message_id for each in await store.take_held(HELD_HERE, 10)] == ["h1"]


async def test_what_lost_can_be_decided_again(store: AnyStore) -> None:
    saga = started()
    await store.commit(new(saga))
    stale = (await store.load([saga.id])).aggregates[saga.id]
    saga.append([skipped("a")])
    await store.commit(batch((saga, 1)))
    stale.append([skipped("b")])
    assert await store.commit(batch((stale, 1))) == {saga.id}
    again = (await store.load([saga.id])).aggregates[saga.id]
    again.append([skipped("b")])
    assert await store.commit(batch((again, 2))) == frozenset()
    assert len(await store.history(saga.id)) == 3


async def test_of_two_starts_of_one_saga_one_is_a_conflict(store: AnyStore) -> None:
    first = started()
    second = SagaAggregate(first.id)
    second.append([each.event for each in started().collect_events()])
    assert await store.commit(new(first)) == frozenset()
    assert await store.commit(new(second)) == {first.id}
    assert len(await store.history(first.id)) == 1


async def test_an_empty_commit_is_nothing(store: AnyStore) -> None:
    assert await store.commit(Commit()) == frozenset()


# Timers


async def test_due_sagas_are_taken_longest_overdue_first(store: AnyStore) -> None:
    sagas = [started(f"o{each}", NOW - each * SECOND) for each in (1, 3, 2)]
    await store.commit(new(*sagas, started("later", NOW + HOUR), started("never")))
    due = await store.take_due(HELD_HERE, None, 10, HOUR)
    assert due.saga_ids == [sagas[1].id, sagas[2].id, sagas[0].id]


async def test_a_taken_saga_is_left_alone_until_the_lease_ends(store: AnyStore) -> None:
    saga = started(deadline=NOW - SECOND)
    await store.commit(new(saga))
    taken = await store.take_due(HELD_HERE, None, 10, HOUR)
    assert taken.saga_ids == [saga.id]
    assert taken.next is not None
    assert HOUR - SECOND < taken.next - taken.now <= HOUR
    assert (await store.take_due(HELD_HERE, None, 10, HOUR)).saga_ids == []


async def test_a_lease_that_ended_is_no_lease(store: AnyStore) -> None:
    saga = started(deadline=NOW - SECOND)
    await store.commit(new(saga))
    for _ in range(2):
        assert (await store.take_due(HELD_HERE, None, 10, EXPIRED)).saga_ids == [saga.id]


async def test_a_commit_ends_the_lease(store: AnyStore) -> None:
    saga = started(deadline=NOW - SECOND)
    await store.commit(new(saga))
    await store.take_due(HELD_HERE, None, 10, HOUR)
    saga.append([skipped()])
    await store.commit(batch((saga, 1)))
    assert (await store.take_due(HELD_HERE, None, 10, HOUR)).saga_ids == [saga.id]


@pytest.mark.semantics("version-not-held")
async def test_only_held_versions_are_taken_and_told_of(store: AnyStore) -> None:
    await store.commit(new(started(deadline=NOW - SECOND)))
    for definitions in ([], [("order", 2)], [("other", 1)]):
        due = await store.take_due(definitions, None, 10, HOUR)
        assert (due.saga_ids, due.next) == ([], None)


async def test_timers_wait_for_the_events_before_them(store: AnyStore) -> None:
    early, late = started("o1", NOW - 3 * SECOND), started("o2", NOW - SECOND)
    await store.commit(new(early, late))
    due = await store.take_due(HELD_HERE, NOW - 2 * SECOND, 10, HOUR)
    assert due.saga_ids == [early.id]
    assert due.next == NOW - SECOND, "what waits is told of, though it lies in the past"
    assert (await store.take_due(HELD_HERE, NOW - SECOND, 10, HOUR)).saga_ids == [], "before it, not at it"


async def test_the_limit_holds_and_the_rest_is_told_of(store: AnyStore) -> None:
    await store.commit(new(started("o1", NOW - 2 * SECOND), started("o2", NOW - SECOND)))
    due = await store.take_due(HELD_HERE, None, 1, HOUR)
    assert len(due.saga_ids) == 1
    assert due.next == NOW - SECOND


async def test_the_next_wake_up_is_told(store: AnyStore) -> None:
    await store.commit(new(started("o1", NOW + 2 * HOUR), started("o2", NOW + HOUR), started("never")))
    due = await store.take_due(HELD_HERE, None, 10, HOUR)
    assert (due.saga_ids, due.next) == ([], NOW + HOUR)


async def test_a_wake_up_that_moved_is_due_when_it_says_now(store: AnyStore) -> None:
    """Whatever was told of it before: it may have moved away, nearer, away and nearer again, or be gone."""
    moves = {"o1": (-3, 2), "o2": (2, -2), "o3": (-3, 1, -1), "o4": (-3, None)}
    sagas = {key: started(key) for key in moves}
    for key, hours in moves.items():
        for expected, each in enumerate(hours):
            if expected:
                sagas[key].append([skipped()])
            wake_up = None if each is None else NOW + each * HOUR
            moved = replace(row(sagas[key], expected), wake_up=wake_up)
            assert not await store.commit(Commit([sagas[key]], [moved]))
    due = await store.take_due(HELD_HERE, None, 10, 5 * HOUR)
    assert due.saga_ids == [sagas["o2"].id, sagas["o3"].id]
    assert due.next == NOW + 2 * HOUR


# The outbox


async def test_messages_wait_in_their_order_until_they_are_published(store: AnyStore) -> None:
    first = [(None, outgoing(f"c{each}", bytes([each]))) for each in range(5, 0, -1)]
    await store.commit(Commit(outbox=first))
    await store.commit(Commit(outbox=[(None, replace(outgoing("c9"), deduplication_id="c9-2"))]))
    waiting = await store.unpublished(10, EXPIRED)
    assert waiting[:5] == [message for _, message in first]
    assert waiting[5].deduplication_id == "c9-2"
    assert await store.unpublished(2, EXPIRED) == waiting[:2]
    assert await store.unpublished(10, HOUR) == []
    await store.published(["c5", "c3", "unknown"])
    await store.published([])
    assert [each.message_id for each in await store.unpublished(10, EXPIRED)] == ["c4", "c2", "c1", "c9"]


async def test_headers_that_are_known_to_travel_still_are_when_they_waited(store: AnyStore) -> None:
    message = replace(outgoing("c1"), headers=plain({"ce-id": "c1", "note": "ü"}))
    await store.commit(Commit(outbox=[(None, message), (None, outgoing("c2"))]))
    waiting = await store.unpublished(10, EXPIRED)
    assert waiting == [message, outgoing("c2")]
    assert [type(each.headers) for each in waiting] == [Headers, dict]


async def test_a_message_that_waits_already_waits_once(store: AnyStore) -> None:
    twice = [(None, outgoing("c1", b"first")), (None, outgoing("c1", b"second"))]
    await store.commit(Commit(outbox=twice))
    await store.commit(Commit(outbox=twice))
    assert [each.body for each in await store.unpublished(10, EXPIRED)] == [b"first"]


async def test_large_and_binary_bodies(store: AnyStore) -> None:
    body = bytes(range(256)) * 8192
    await store.commit(Commit(outbox=[(None, outgoing("c1", body))]))
    assert [each.body for each in await store.unpublished(1, EXPIRED)] == [body]


# After a loss


async def test_unfinished_sagas_are_listed_in_pages(store: AnyStore) -> None:
    running = [started(f"o{each}") for each in range(5)]
    finished = started("done")
    finished.append([completed()])
    await store.commit(new(*running, finished, started("x", saga="other")))
    found: list[UUID] = []
    while page := await store.outstanding(["order"], found[-1] if found else None, 2):
        assert len(page) <= 2
        found += page
    assert found == sorted(each.id for each in running)


# Definitions


@pytest.mark.semantics("shapes")
async def test_a_shape_is_recorded_once(store: AnyStore) -> None:
    one, two = (
        {"saga": "order", "version": 1, "deadline": 3600.0},
        {"saga": "order", "version": 2, "deadline": None},
    )
    await store.register([two])
    await store.register([one, two])
    assert await store.shapes() == [one, two]


@pytest.mark.semantics("shape-differs")
async def test_another_shape_of_the_same_version_is_refused(store: AnyStore) -> None:
    await store.register([{"saga": "order", "version": 1, "steps": [{"name": "reserve"}, {"name": "ship"}]}])
    other = {"saga": "order", "version": 1, "steps": [{"name": "charge"}], "deadline": 5}
    with pytest.raises(ShapeDiffers) as refused:
        await store.register([{"saga": "new", "version": 1}, other])
    text = str(refused.value)
    assert "'order' version 1" in text
    assert 'steps[0].name was "reserve" and is "charge"' in text
    assert 'steps[1] was {"after": ["reserve"], "name": "ship"} and is absent' in text
    assert "deadline was absent and is 5" in text
    assert "new version" in text
    assert [shape["saga"] for shape in await store.shapes()] == ["order"]


# What waits


async def test_messages_for_a_version_wait_until_somebody_holds_it(store: AnyStore) -> None:
    waiting = [held("m2", definition=2), held("m1", uuid4(), definition=1), held("m3", definition=1)]
    await store.commit(Commit(held=waiting))
    await store.commit(Commit(held=[held("m1", definition=1)]))
    assert await store.take_held(HELD_HERE, 10) == waiting[1:]
    assert await store.take_held([("order", 2), ("order", 1)], 2) == waiting[:2]
    assert [each.message.held for each in await store.take_held(HELD_HERE, 10)] == ["version", "version"]
    await store.commit(Commit(handled=[Handled("m1", "order", None), Handled("unknown", "order", None)]))
    assert await store.take_held(HELD_HERE, 10) == waiting[2:]


async def test_a_message_waits_once_for_each_saga_type(store: AnyStore) -> None:
    both = [held("m1"), replace(held("m1"), saga="invoice")]
    await store.commit(Commit(held=both))
    assert await store.take_held([*HELD_HERE, ("invoice", 1)], 10) == both
    await store.commit(Commit(handled=[Handled("m1", "invoice", None)]))
    assert await store.take_held([*HELD_HERE, ("invoice", 1)], 10) == both[:1]


@pytest.mark.semantics("unclaimed")
async def test_a_held_message_waits_on_where_its_saga_was_changed_by_another_worker(store: AnyStore) -> None:
    saga = started()
    message = held("m2", saga.id)
    await store.commit(replace(new(saga), held=[message]))
    saga.append([skipped()])
    late = replace(batch((saga, 7)), handled=[Handled("m2", "order", saga.id)])
    assert await store.commit(late) == {saga.id}
    assert await store.take_held(HELD_HERE, 10) == [message]


async def test_a_held_message_may_be_held_again_for_another_reason(store: AnyStore) -> None:
    await store.commit(Commit(held=[held("m1")]))
    again = held("m1", definition=2)
    await store.commit(Commit(handled=[Handled("m1", "order", None)], held=[again]))
    assert await store.take_held([("order", 2)], 10) == [again]


# Events that find no saga


def early(message_id: str, until: datetime, **fields: Any) -> Held:
    return replace(held(message_id, why="early"), until=until, **fields)


async def test_an_early_event_waits_until_its_saga_has_started(store: AnyStore) -> None:
    saga = started()
    waiting = early("m1", datetime.now(UTC) + HOUR, saga_id=saga.id)
    await store.commit(Commit(held=[waiting]))
    assert await store.take_held(HELD_HERE, 10) == []
    await store.commit(new(saga))
    assert await store.take_held([("invoice", 1)], 10) == []
    assert await store.take_held([("order", 2)], 10) == [waiting]  # the saga's version is told by the saga


async def test_an_early_event_waits_until_a_saga_has_learnt_its_key(store: AnyStore) -> None:
    saga = started()
    waiting = early("m1", datetime.now(UTC) + HOUR, sought=PAYMENT)
    await store.commit(Commit(held=[waiting]))
    await store.commit(replace(new(saga), keys=[(saga.id, replace(PAYMENT, value="p2"))]))
    assert await store.take_held(HELD_HERE, 10) == []
    saga.append([skipped()])
    await store.commit(replace(batch((saga, 1)), keys=[(saga.id, PAYMENT)]))
    assert await store.take_held(HELD_HERE, 10) == [waiting]


async def test_an_early_event_that_has_waited_long_enough_comes_back(store: AnyStore) -> None:
    over, not_yet = early("m1", NOW - SECOND), early("m2", datetime.now(UTC) + HOUR)
    await store.commit(Commit(held=[over, not_yet]))
    assert await store.take_held(HELD_HERE, 10) == [over]


async def test_what_became_of_events_without_a_saga_is_kept_for_auditors(store: AnyStore) -> None:
    kept = Unclaimed("m1", "order", "payments.charged", "o\u0000", "kept")
    ignored = Unclaimed("m2", "order", "payments.charged", "o2", "ignored")
    await store.commit(Commit(unclaimed=[kept, ignored]))
    await store.commit(Commit(unclaimed=[kept, replace(kept, became="dead")]))
    found = await store.unclaimed(10)
    assert [(each.message_id, each.became) for each in found] == [("m1", "dead"), ("m2", "ignored")]
    assert found[0].key == "o\N{REPLACEMENT CHARACTER}"
    assert await store.unclaimed(1) == found[:1]


# Keys learnt on the way


async def test_a_saga_is_found_by_a_key_that_it_learnt(store: AnyStore) -> None:
    saga = started()
    odd = replace(PAYMENT, value="p\u0000")
    await store.commit(replace(new(saga), keys=[(saga.id, PAYMENT), (saga.id, odd), (saga.id, PAYMENT)]))
    others = [replace(PAYMENT, saga="invoice"), replace(PAYMENT, name="parcel"), replace(PAYMENT, value="")]
    assert await store.find([PAYMENT, odd, *others]) == {PAYMENT: saga.id, odd: saga.id}
    assert await store.find([]) == {}


async def test_a_key_belongs_to_one_saga_and_nothing_is_saved_where_two_claim_it(store: AnyStore) -> None:
    first, second, other = started("o1"), started("o2"), started("o3")
    await store.commit(replace(new(first), keys=[(first.id, PAYMENT)]))
    with pytest.raises(KeysTaken) as refused:
        await store.commit(
            replace(new(second, other), keys=[(second.id, PAYMENT)], outbox=[(None, outgoing())])
        )
    assert refused.value.claims == {(second.id, PAYMENT)}
    assert await store.find([PAYMENT]) == {PAYMENT: first.id}
    assert [row.key for row in await store.saga_rows()] == ["o1"]
    assert await store.unpublished(10, EXPIRED) == []
    first.append([skipped()])
    assert await store.commit(replace(batch((first, 1)), keys=[(first.id, PAYMENT)])) == frozenset()


async def test_of_two_sagas_that_claim_a_key_at_once_one_is_refused(store: AnyStore) -> None:
    first, second = started("o1"), started("o2")
    with pytest.raises(KeysTaken) as refused:
        await store.commit(replace(new(first, second), keys=[(first.id, PAYMENT), (second.id, PAYMENT)]))
    assert len(refused.value.claims) == 1
    assert await store.find([PAYMENT]) == {}


@pytest.mark.semantics("learnt-keys")
async def test_a_saga_that_was_changed_by_another_worker_learns_nothing(store: AnyStore) -> None:
    saga = started()
    await store.commit(new(saga))
    saga.append([skipped()])
    late = replace(batch((saga, 7)), keys=[(saga.id, PAYMENT)])
    assert await store.commit(late) == {saga.id}
    assert await store.find([PAYMENT]) == {}


async def test_a_saga_in_quarantine_is_left_alone_until_it_is_released(store: AnyStore) -> None:
    saga = started(deadline=NOW - SECOND)
    await store.commit(new(saga))
    message = held("m2", saga.id, why="quarantine")
    await store.commit(Commit(held=[message], quarantined={saga.id: "ValueError: \u0000"}))

    loaded = await store.load([saga.id])
    assert loaded.quarantined == {saga.id}
    assert loaded.aggregates == {}
    [told] = await store.quarantined()
    assert (told.saga_id, told.saga, told.definition, told.key) == (saga.id, "order", 1, "o1")
    assert (told.version, told.error, told.held) == (1, "ValueError: \N{REPLACEMENT CHARACTER}", 1)
    assert abs(told.since - (await store.load([])).now) < HOUR
    assert await store.quarantined(saga_id=uuid4()) == []
    beside = await store.load([saga.id], in_quarantine=True)
    assert beside.quarantined == {saga.id}
    assert beside.aggregates[saga.id].version == 1
    due = await store.take_due(HELD_HERE, None, 10, HOUR)
    assert (due.saga_ids, due.next) == ([], None)
    assert await store.take_held(HELD_HERE, 10) == []
    saga.append([skipped()])
    assert await store.commit(batch((saga, 1))) == {saga.id}

    assert await store.release([saga.id, uuid4()]) == {saga.id}
    assert await store.release([saga.id]) == frozenset()
    assert await store.take_held(HELD_HERE, 10) == [message]
    assert (await store.take_due(HELD_HERE, None, 10, HOUR)).saga_ids == [], (
        "what is held comes before timers"
    )
    await store.commit(Commit(handled=[Handled("m2", "order", saga.id)]))
    assert (await store.take_due(HELD_HERE, None, 10, HOUR)).saga_ids == [saga.id]
    assert (await store.load([saga.id])).aggregates[saga.id].version == 1


async def test_a_release_of_a_saga_without_events_is_kept_by_its_request(store: AnyStore) -> None:
    saga_id = uuid4()
    message = held("m2", saga_id, why="quarantine")
    await store.commit(Commit(quarantined={saga_id: "no start"}, held=[message]))
    assert await store.release_unbegun(saga_id, "r1", "anna", "mended \0") is True
    assert await store.quarantined() == []
    assert await store.release_unbegun(saga_id, "r1", "anna", "mended \0") is True, "it did so before"
    assert await store.release_unbegun(saga_id, "r2", "anna", "once more") is False
    assert await store.release_unbegun(uuid4(), "r1", "anna", "another saga") is False


async def test_a_quarantine_ends_for_a_version_or_with_a_commit(store: AnyStore) -> None:
    one, two = started("o1"), started("o2")
    await store.commit(new(one, two))
    await store.commit(Commit(quarantined={one.id: "one", two.id: "two"}))
    assert await store.release_versions([("order", 2), ("other", 1)]) == frozenset()
    one.append([skipped()])
    assert await store.commit(replace(batch((one, 1)), released=[one.id])) == frozenset()
    assert [each.error for each in await store.quarantined()] == ["two"]
    assert await store.release_versions(HELD_HERE) == {two.id}
    assert await store.quarantined() == []


async def test_a_commit_that_is_refused_ends_no_quarantine(store: AnyStore) -> None:
    first, second = started("o1"), started("o2")
    await store.commit(replace(new(first, second), keys=[(first.id, PAYMENT)]))
    await store.commit(Commit(quarantined={second.id: "why"}))
    second.append([skipped()])
    with pytest.raises(KeysTaken):
        await store.commit(replace(batch((second, 1)), released=[second.id], keys=[(second.id, PAYMENT)]))
    assert [each.saga_id for each in await store.quarantined()] == [second.id]


async def test_what_is_held_for_a_saga_follows_it_to_its_new_version(store: AnyStore) -> None:
    saga = started()
    await store.commit(new(saga))
    await store.commit(Commit(held=[held("m2", saga.id, definition=1)]))
    moved = replace(row(saga, 1), definition=2, version=1)
    await store.commit(Commit(rows=[moved]))
    assert await store.take_held(HELD_HERE, 10) == []
    assert len(await store.take_held([("order", 2)], 10)) == 1


async def test_versions_that_no_running_worker_holds_are_told(store: AnyStore) -> None:
    finished = started("o3", saga="other")
    finished.append([completed()])
    await store.commit(new(started("o1"), started("o2"), finished))
    await store.commit(Commit(held=[held("m1", uuid4())]))
    assert await store.workers.missing() == [MissingVersion("order", 1, 2, 1)]
    assert await store.workers.types() == frozenset()
    await store.workers.seen("w1", [("order", 2)])
    await store.workers.seen("w2", HELD_HERE)
    await store.workers.seen("w2", HELD_HERE)
    assert await store.workers.missing() == []
    await store.workers.gone("w2")
    assert await store.workers.missing() == [MissingVersion("order", 1, 2, 1)]
    assert await store.workers.types() == {"order"}


@pytest.mark.semantics("schema-not-held")
async def test_what_a_newer_program_went_on_with_is_left_to_those_that_can_read_it(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = started(deadline=NOW - SECOND)
    await store.commit(new(known))
    saga = SagaAggregate(known.id)
    saga.load(await store.history(saga.id))
    saga.append([released()])
    await store.commit(batch((recorded_as(saga, topic=UNHEARD_OF), 1)))
    assert isinstance((await store.load([saga.id])).unreadable[saga.id], SchemaNotHeld)
    ahead = {saga.id: UNHEARD_OF}
    for _ in range(2):
        await store.commit(Commit(held=[held("m1", saga.id)], ahead=ahead))
    await store.workers.seen("older", HELD_HERE)
    due = await store.take_due(HELD_HERE, None, 10, SECOND)
    assert (due.saga_ids, due.next) == ([], None)
    assert await store.take_held(HELD_HERE, 10) == []
    assert await store.quarantined() == []
    assert await store.workers.missing() == [MissingVersion("order", 1, 1, 1)]
    monkeypatch.setitem(EVENT_TYPES, "saga.unheard-of", e.SagaReleased)
    [message] = await store.take_held(HELD_HERE, 10)
    assert (message.message_id, message.why) == ("m1", "version")
    await store.commit(Commit(handled=[Handled("m1", "order", saga.id)]))
    assert (await store.take_due(HELD_HERE, None, 10, SECOND)).saga_ids == [saga.id]
    await store.workers.seen("newer", HELD_HERE)
    assert await store.workers.missing() == []


async def test_a_start_that_could_not_be_decided_can_be_decided_after_its_release(store: AnyStore) -> None:
    saga = started()
    commit = Commit(held=[held("m1", saga.id, why="quarantine")], quarantined={saga.id: "KeyError"})
    await store.commit(commit)
    assert (await store.load([saga.id])).quarantined == {saga.id}
    [known] = await store.saga_rows(saga_id=saga.id)
    assert (known.saga, known.definition, known.version) == ("order", 1, 0)
    assert await store.outstanding(["order"], None, 10) == []
    assert await store.release_versions([("order", 2)]) == {saga.id}, "it begins under any version"
    assert [each.message_id for each in await store.take_held([("order", 2)], 10)] == ["m1"]
    assert await store.commit(new(saga)) == frozenset()
    assert await store.outstanding(["order"], None, 10) == [saga.id]


async def test_dead_letters_come_twice_without_harm(store: AnyStore) -> None:
    odd = replace(dead("m\u0000", "reason \u0000 \ud800"), message=replace(incoming(b"\xff"), consumer="c"))
    for _ in range(2):
        assert await store.commit(Commit(dead=[odd, odd, dead("m2")])) == frozenset()


# Reading


async def test_sagas_are_found_by_type_key_and_id(store: AnyStore) -> None:
    one, two, other = started("o1", NOW + HOUR), started("o2"), started("o1", saga="other")
    await store.commit(new(one, two, other))
    assert await store.saga_rows(saga="order") == [row(one, 0), row(two, 0)]
    assert await store.saga_rows(key="o1") == [row(one, 0), row(other, 0)]
    assert await store.saga_rows(saga="order", key="o1") == [row(one, 0)]
    assert await store.saga_rows(saga_id=two.id) == [row(two, 0)]
    assert await store.saga_rows(saga_id=uuid4()) == []
    assert len(await store.saga_rows(limit=2)) == 2
    assert await store.counts() == {("order", "running"): 2, ("other", "running"): 1}


async def test_a_key_may_hold_what_a_database_cannot_store(store: AnyStore) -> None:
    saga = started("a\u0000b")
    assert await store.commit(new(saga)) == frozenset()
    state = (await store.load([saga.id])).aggregates[saga.id].state
    assert state is not None
    assert state.key == "a\u0000b"
    [known] = await store.saga_rows(saga_id=saga.id)
    assert known.key == "a\N{REPLACEMENT CHARACTER}b"


async def test_marks_are_kept_by_name(store: AnyStore) -> None:
    assert await store.marks.load() == {}
    one, two = Mark("a", "2026", 1, "m1"), Mark("b", "2026", 2)
    await store.marks.store({"a": one, "b": two})
    newer = Mark("a", "2027", 3, "m3")
    await store.marks.store({"a": newer})
    assert await store.marks.load() == {"a": newer, "b": two}


async def test_held_messages_come_back_as_they_were(store: AnyStore) -> None:
    message = Incoming("s", {"a": "1", "ü": "\u0000"}, b"\x00\xff", NOW, 2**40, consumer="c")
    waiting = replace(held("m1", uuid4()), message=message)
    await store.commit(Commit(held=[waiting]))
    [back] = await store.take_held(HELD_HERE, 1)
    assert back == waiting
    assert (back.message.held, back.message.held_for) == ("version", waiting.saga_id)


async def test_a_walk_goes_through_the_sagas_in_the_order_of_ids(store: AnyStore) -> None:
    sagas = [started(f"o{n}") for n in range(5)]
    await store.commit(new(*sagas))
    ids = sorted(saga.id for saga in sagas)
    first = await store.walk(Which(), None, 3)
    rest = await store.walk(Which(), first[-1].saga_id, 3)
    assert [row.saga_id for row in (*first, *rest)] == ids
    assert not await store.walk(Which(), ids[-1], 3)


async def test_a_walk_takes_only_the_sagas_that_are_wanted(store: AnyStore) -> None:
    order, trip = started("o1"), started("t1", saga="trip")
    await store.commit(new(order, trip))
    await store.commit(Commit(quarantined={uuid4(): "undecidable before its first event"}))
    for which, expected in [
        (Which(), {"o1", "t1"}),
        (Which(saga="trip"), {"t1"}),
        (Which(definition=1, key="o1"), {"o1"}),
        (Which(definition=2), set()),
        (Which(status="running"), {"o1", "t1"}),
        (Which(saga="order", status="completed"), set()),
    ]:
        assert {row.key for row in await store.walk(which, None, 10)} == expected, which


async def test_the_histories_of_a_batch_of_sagas_and_why_one_cannot_be_read(store: AnyStore) -> None:
    order, strange, unknown = started("o1"), recorded_as(started("o2"), topic=UNHEARD_OF), uuid4()
    await store.commit(new(order, strange))
    found = await store.histories([order.id, strange.id, unknown])
    assert found[order.id] == await store.history(order.id)
    assert isinstance(found[strange.id], UnreadableEvent)
    assert found[unknown] == []


# Jobs


async def test_a_job_is_kept_once_with_its_sagas_in_their_order(store: AnyStore) -> None:
    ids = [uuid4() for _ in range(3)]
    assert await store.jobs.create("j", {"action": "suspend"}, {"saga": "order"}, ids) is True
    assert await store.jobs.create("j", {"action": "cancel"}, {}, [uuid4()]) is False
    job = await store.jobs.find("j")
    assert job is not None
    assert (job.name, job.action, job.chosen_by) == ("j", {"action": "suspend"}, {"saga": "order"})
    assert (job.done, job.refused, job.left) == (0, 0, 3)
    assert await store.jobs.items("j") == [JobItem(place, each) for place, each in enumerate(ids, start=1)]
    assert await store.jobs.find("other") is None
    assert await store.jobs.items("other") == []
    assert await store.jobs.create("empty", {}, {}, []) is True


async def test_the_latest_jobs_are_told_with_how_far_each_is(store: AnyStore) -> None:
    ids = [uuid4(), uuid4()]
    await store.jobs.create("older", {"action": "suspend"}, {}, ids)
    await store.jobs.create("newer", {"action": "cancel"}, {}, [])
    await store.jobs.settle("older", JobItem(1, ids[0], "done"))
    newer, older = await store.jobs.latest(10)
    assert (newer.name, newer.left, newer.last) == ("newer", 0, None)
    assert (older.name, older.done, older.left) == ("older", 1, 1)
    assert older.last is not None
    assert await store.jobs.latest(1) == [newer]
    assert await store.jobs.find("older") == older


async def test_results_of_a_job_are_kept_once_and_the_rest_is_told(store: AnyStore) -> None:
    ids = [uuid4() for _ in range(4)]
    await store.jobs.create("j", {}, {}, ids)
    await store.jobs.settle("j", JobItem(2, ids[1], "refused", "no \u0000"))
    await store.jobs.settle("j", JobItem(2, ids[1], "done"))
    await store.jobs.settle("j", JobItem(1, ids[0], "done"))
    left = await store.jobs.items("j", open_only=True)
    assert [item.place for item in left] == [3, 4]
    assert [item.place for item in await store.jobs.items("j", after=1, limit=2)] == [2, 3]
    job = await store.jobs.find("j")
    assert job is not None
    assert (job.done, job.refused, job.left) == (1, 1, 2)


async def test_unfinished_sagas_are_chosen_by_type_and_version_in_pages(store: AnyStore) -> None:
    running, finished, other = started("o1"), started("o2"), started("o3", saga="other")
    finished.append([completed()])
    await store.commit(new(running, finished, other))
    failed = uuid4()
    await store.commit(Commit(held=[held("m1", failed, why="quarantine")], quarantined={failed: "KeyError"}))
    every = sorted([running.id, other.id, failed])
    assert await store.jobs.choose(None, None, None, 10) == every
    assert await store.jobs.choose(None, None, every[0], 1) == every[1:2]
    assert await store.jobs.choose("order", 1, None, 10) == sorted([running.id, failed])
    assert await store.jobs.choose("other", 2, None, 10) == []
