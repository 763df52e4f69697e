"""What is counted for limits, in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from amends.domain.aggregate import SagaAggregate
from amends.domain.limits import Breaker, Limit
from amends.infrastructure.limits import WAITS, LimitedCommand, LimitedSaga, Reserved, Slot
from amends.infrastructure.ports import Held
from tests.infrastructure.conftest import AnyStore
from tests.infrastructure.store_data import HOUR, NOW, batch, new, skipped, started
from tests.infrastructure.store_data import held as held_message

PAUSE = timedelta(milliseconds=50)


def command(participant: str = "inventory", *, out: bool = False, backwards: bool = False) -> LimitedCommand:
    expires = datetime.now(UTC) + HOUR if out else None
    return LimitedCommand(uuid4(), participant, backwards, NOW, expires)


async def held(store: AnyStore, *commands: LimitedCommand, suspended: bool = False) -> SagaAggregate:
    """A new saga that holds these commands."""
    saga = started()
    limited = LimitedSaga(saga.id, commands, {}, suspended)
    assert not await store.commit(replace(new(saga), limited=[limited]))
    return saga


async def become(
    store: AnyStore,
    saga: SagaAggregate,
    *commands: LimitedCommand,
    failed: dict[UUID, bool] | None = None,
    suspended: bool = False,
) -> None:
    """The saga goes on, and these of its commands are held or out."""
    version = saga.version
    saga.append([skipped()])
    limited = LimitedSaga(saga.id, commands, failed or {}, suspended)
    assert not await store.commit(replace(batch((saga, version)), limited=[limited]))


async def let_go(store: AnyStore, count: int = 100, participant: str = "inventory") -> Sequence[UUID]:
    """The commands that may leave."""
    return [command for _, command in (await store.limits.release(participant, count)).commands]


def released(each: LimitedCommand) -> LimitedCommand:
    return replace(each, expires=datetime.now(UTC) + HOUR)


async def test_how_many_commands_are_outstanding(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=2)], {}, anew=True)
    one, two, three = command(), command(), command()
    sagas = [await held(store, each) for each in (one, two, three)]
    assert await let_go(store) == [one.command_id, two.command_id]
    await become(store, sagas[0], released(one))
    await become(store, sagas[1], released(two))
    assert await let_go(store) == []
    await become(store, sagas[1], failed={two.command_id: False})
    assert await let_go(store) == [three.command_id]
    [status] = (await store.limits.status()).participants
    assert (status.outstanding, status.held) == (2, 0)


async def test_how_many_commands_leave_in_a_second(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", per_second=3)], {}, anew=True)
    saga = await held(store, *(command() for _ in range(5)))
    releases = await store.limits.release("inventory", 100)
    assert [saga_id for saga_id, _ in releases.commands] == [saga.id] * 3
    assert releases.again is not None
    now = (await store.load([])).now
    assert now < releases.again <= now + timedelta(seconds=1)
    assert await let_go(store) == []


async def test_an_answer_out_of_a_commit_that_lost_counts_for_nothing(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one, two = command(), command()
    saga = await held(store, one)
    await held(store, two)
    await let_go(store)
    stale = SagaAggregate(saga.id)
    stale.load(await store.history(saga.id))
    await become(store, saga, released(one))
    stale.append([skipped()])
    ended = LimitedSaga(saga.id, (), {one.command_id: False}, suspended=False)
    assert await store.commit(replace(batch((stale, 1)), limited=[ended])) == {saga.id}
    assert await let_go(store) == []


async def test_the_circuit_breaker_opens_on_a_rate_of_failures_and_probes_before_it_closes(
    store: AnyStore,
) -> None:
    breaker = Breaker(failure_rate=0.5, outcomes=2, pause=PAUSE, probes=1)
    await store.limits.declare([Limit("inventory", breaker=breaker)], {}, anew=True)
    one, two, three, four = (command() for _ in range(4))
    saga = await held(store, one, two)
    await let_go(store)
    await become(store, saga, failed={one.command_id: True, two.command_id: False})
    await become(store, saga, three, four)
    releases = await store.limits.release("inventory", 100)
    assert (releases.commands, await gate(store)) == ([], "open")
    assert releases.again is not None
    while (await store.load([])).now < releases.again:
        pass  # the store's own clock: the pause is short
    assert await let_go(store) == [three.command_id]
    assert await gate(store) == "half-open"
    await become(store, saga, four, failed={three.command_id: False})
    assert await let_go(store) == [four.command_id]
    assert await gate(store) == "closed"


async def gate(store: AnyStore) -> str:
    [status] = (await store.limits.status()).participants
    return status.gate.state


async def test_what_goes_back_goes_first_then_the_oldest(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=10)], {}, anew=True)
    one, two, back = command(), command(), command(backwards=True)
    for each in (one, two, back):
        await held(store, each)
    assert await let_go(store) == [back.command_id, one.command_id, two.command_id]


async def test_a_release_that_nobody_recorded_is_made_again_after_its_lease(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("memory", "postgres"):
        monkeypatch.setattr(f"amends.infrastructure.{home}.limits.LEASE", timedelta(0))
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one = command()
    saga = await held(store, one)
    assert await let_go(store) == [one.command_id]
    assert await let_go(store) == [one.command_id]
    await become(store, saga, released(one))
    assert await let_go(store) == []


async def test_a_release_is_not_made_twice_during_its_lease(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=5)], {}, anew=True)
    await held(store, command())
    assert len(await let_go(store)) == 1
    assert await let_go(store) == []


async def test_what_is_withdrawn_never_leaves(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one = command()
    saga = await held(store, one)
    await become(store, saga)
    assert await let_go(store) == []


async def test_nothing_of_a_suspended_saga_leaves_until_it_is_resumed(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one = command()
    saga = await held(store, one, suspended=True)
    assert await let_go(store) == []
    await become(store, saga, one)
    assert await let_go(store) == [one.command_id]


async def test_nothing_of_a_saga_in_quarantine_leaves_until_it_is_released(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one = command()
    saga = await held(store, one)
    await store.commit(replace(new(), quarantined={saga.id: "a bug"}))
    assert await let_go(store) == []
    await store.release([saga.id])
    assert await let_go(store) == [one.command_id]


async def test_a_command_that_nobody_waits_for_any_more_is_not_outstanding(store: AnyStore) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {}, anew=True)
    one, two = command(), command()
    saga = await held(store, one)
    await held(store, two)
    await let_go(store)
    await become(store, saga, replace(one, expires=datetime.now(UTC)))
    assert await let_go(store) == []
    await become(store, saga, replace(one, expires=NOW - HOUR))
    assert await let_go(store) == [two.command_id]


async def test_participants_have_limits_of_their_own(store: AnyStore) -> None:
    limits = [Limit("inventory", outstanding=1), Limit("payments", outstanding=1)]
    await store.limits.declare(limits, {}, anew=True)
    await held(store, command(), command(), command("payments"))
    assert len(await let_go(store)) == 1
    assert len(await let_go(store, participant="payments")) == 1
    assert await let_go(store, participant="shipping") == []


async def test_the_last_worker_that_starts_decides_the_limits(store: AnyStore) -> None:
    few, many = Limit("inventory", outstanding=1), Limit("inventory", outstanding=9)
    await store.limits.declare([few], {"order": 1}, anew=True)
    await store.limits.declare([many], {"order": 2}, anew=True)
    await store.limits.declare([few], {"order": 1}, anew=False)
    status = await store.limits.status()
    assert [each.limit for each in status.participants] == [many]
    assert [each.at_once for each in status.types] == [2]


async def test_a_limit_that_no_worker_has_any_more_holds_nothing(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.limits.declare([Limit("inventory", outstanding=1)], {"order": 5}, anew=True)
    await held(store, command(), command())
    assert (await store.limits.in_force()).participants == {"inventory"}
    assert (await store.limits.in_force()).types == {"order"}
    for home in ("memory", "postgres"):
        monkeypatch.setattr(f"amends.infrastructure.{home}.limits.IN_FORCE", timedelta(0))
    in_force = await store.limits.in_force()
    assert len((await store.limits.release("inventory", 9, own=True)).commands) == 1
    assert not in_force.participants
    assert not in_force.types
    assert in_force.known == {"inventory"}
    assert len(await let_go(store)) == 1


# How many sagas of a type run at once


async def ends(store: AnyStore, saga: SagaAggregate, *, busy: bool = False) -> None:
    """The saga goes on, and has a slot or not."""
    version = saga.version
    saga.append([skipped()])
    assert not await store.commit(replace(batch((saga, version)), slots=[Slot(saga.id, "order", busy)]))


async def runs(store: AnyStore, saga: SagaAggregate) -> SagaAggregate:
    await store.commit(replace(new(saga), slots=[Slot(saga.id, "order", busy=True)]))
    return saga


def waits(message_id: str, saga: SagaAggregate) -> Held:
    return replace(held_message(message_id, saga.id), why=WAITS)


async def busy(store: AnyStore) -> tuple[int, int]:
    [status] = (await store.limits.status()).types
    return status.busy, status.waiting


async def test_no_more_sagas_start_than_there_are_slots(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 2}, anew=True)
    one, two, three = started("o1"), started("o2"), started("o3")
    reserved = await store.limits.reserve({each.id: "order" for each in (one, two, three)})
    assert reserved == Reserved(frozenset({one.id, two.id}), frozenset({"order"}))
    await runs(store, one)
    await runs(store, two)
    assert (await store.limits.reserve({three.id: "order"})).sagas == frozenset()
    await ends(store, one)
    assert (await store.limits.reserve({three.id: "order"})).sagas == {three.id}


async def test_a_type_with_room_left_is_not_full(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 2}, anew=True)
    reserved = await store.limits.reserve({started().id: "order"})
    assert not reserved.full


async def test_a_reserved_slot_in_which_nothing_starts_is_free_again(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("memory", "postgres"):
        monkeypatch.setattr(f"amends.infrastructure.{home}.limits.LEASE", timedelta(0))
    await store.limits.declare([], {"order": 1}, anew=True)
    one, two = started("o1"), started("o2")
    assert (await store.limits.reserve({one.id: "order"})).sagas == {one.id}
    assert (await store.limits.reserve({two.id: "order"})).sagas == {two.id}


async def test_a_saga_that_runs_or_has_a_slot_needs_none(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 1}, anew=True)
    one = started("o1")
    for _ in range(2):
        assert (await store.limits.reserve({one.id: "order"})).sagas == {one.id}
    await runs(store, one)
    assert (await store.limits.reserve({one.id: "order"})).sagas == {one.id}
    await ends(store, one)
    await runs(store, started("o2"))
    assert (await store.limits.reserve({one.id: "order"})).sagas == {one.id}


async def test_suspended_and_parked_sagas_leave_their_slot_and_take_it_back(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 1}, anew=True)
    one = await runs(store, started("o1"))
    await ends(store, one)
    await runs(store, started("o2"))
    await ends(store, one, busy=True)
    assert await busy(store) == (2, 0)
    assert not (await store.limits.reserve({started("o3").id: "order"})).sagas


@pytest.mark.semantics("slots")
async def test_quarantined_sagas_hold_no_slot(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 1}, anew=True)
    one, two = await runs(store, started("o1")), started("o2")
    await store.commit(replace(new(), quarantined={one.id: "a bug"}))
    assert await busy(store) == (0, 0)
    assert (await store.limits.reserve({two.id: "order"})).sagas == {two.id}
    await store.release([one.id])
    assert await busy(store) == (2, 0)


async def test_who_waits_goes_before_newcomers_oldest_first(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 2}, anew=True)
    one, two, three = started("o1"), started("o2"), started("o3")
    await store.commit(replace(new(), held=[waits("m1", one), waits("m2", two), waits("m3", three)]))
    assert (await store.limits.in_force()).waiting == {"order"}
    assert not await store.take_held([("order", 1)], 10)
    assert not (await store.limits.reserve({started("o4").id: "order"})).sagas
    opened = await store.limits.open("order", 10)
    assert (len(opened.starts), opened.has_room) == (2, False)
    assert not (await store.limits.open("order", 10)).starts
    assert (await store.limits.reserve({one.id: "order", two.id: "order"})).sagas == {one.id, two.id}


async def test_a_start_whose_saga_runs_by_now_needs_no_slot(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 1}, anew=True)
    one = await runs(store, started("o1"))
    await store.commit(replace(new(), held=[waits("m1", one)]))
    assert len((await store.limits.open("order", 10)).starts) == 1


async def test_without_a_limit_all_that_waits_may_start(store: AnyStore) -> None:
    sagas = [started(f"o{n}") for n in range(3)]
    await store.commit(replace(new(), held=[waits(f"m{n}", each) for n, each in enumerate(sagas)]))
    opened = await store.limits.open("order", 2)
    assert (len(opened.starts), opened.has_room) == (2, False)


async def test_an_open_type_has_room_for_newcomers(store: AnyStore) -> None:
    await store.limits.declare([], {"order": 2}, anew=True)
    assert (await store.limits.open("order", 10)).has_room
    await runs(store, started("o1"))
    assert (await store.limits.open("order", 10)).has_room
    await runs(store, started("o2"))
    assert not (await store.limits.open("order", 10)).has_room
