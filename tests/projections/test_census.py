"""The whole system as it was at an instant: how many sagas were where."""

from __future__ import annotations

from datetime import timedelta

from amends.infrastructure.memory.store import MemoryStore
from amends.infrastructure.ports import Commit, SagaRow, Which
from amends.projections.travel.system import Place, census
from amends.testing.virtual_time import VirtualClock, VirtualLoop
from tests.domain.driver import SECOND, T0, Play
from tests.domain.test_waits import Booking


async def store_of(*plays: Play) -> MemoryStore:
    store = MemoryStore(VirtualClock(VirtualLoop()))
    for play in plays:
        state, aggregate = play.state, play.aggregate
        row = SagaRow(
            aggregate.id, state.saga, state.definition, state.key, state.status, aggregate.version, 0, None
        )
        assert not await store.commit(Commit([aggregate], [row]))
    return store


async def test_each_saga_is_counted_where_it_was() -> None:
    order = Play()
    order.now += SECOND
    order.succeed("reserve")
    order.now += SECOND
    order.reject("charge")
    order.now += SECOND
    order.suspend()
    booking = Play(Booking)
    booking.now += 2 * SECOND
    booking.succeed("reserve")
    store = await store_of(order, booking)
    for seconds, expected in [
        (0, Place("order@1", "running", "reserve")),
        (1, Place("order@1", "running", "charge")),
        (2, Place("order@1", "compensating", "undo reserve")),
        (3, Place("order@1", "compensating, suspended", "undo reserve")),
    ]:
        found = await census(store, T0 + seconds * SECOND)
        assert found.places[expected] == 1, found.as_json()
        assert found.places.total() == 2
        where = "reserve" if seconds < 2 else "answer"
        assert found.places[Place("booking@1", "running", where)] == 1
    assert (await census(store, T0, Which(saga="order"))).places.total() == 1


async def test_what_had_not_started_is_told_apart() -> None:
    store = await store_of(Play())
    found = await census(store, T0 - timedelta(seconds=1))
    assert (found.places.total(), found.unborn, found.unreadable) == (0, 1, 0)


async def test_progress_is_told_for_each_saga() -> None:
    told: list[None] = []
    store = await store_of(Play(), Play(Booking))
    await census(store, T0, progress=lambda: told.append(None))
    assert len(told) == 2
