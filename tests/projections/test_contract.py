"""What every projection must keep, whatever it shows: run over all of them."""

from __future__ import annotations

from typing import Any

import pytest

from amends.domain.aggregate import SagaAggregate
from amends.projections.catalogue import PROJECTIONS
from amends.projections.projection import Logged, Projection, logged
from amends.projections.runner import Runner
from tests.projections.conftest import NAMESPACE, Place
from tests.projections.histories import mingled, sagas, write

every = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.name)


def runner(place: Place, projection: Projection, batch_size: int = 7, **more: Any) -> Runner:
    return Runner(place.url, NAMESPACE, [projection], batch_size=batch_size, **more)


async def only(place: Place, projection: Projection) -> dict[str, Any]:
    """The rows of this projection."""
    return {name: rows for name, rows in (await place.tables()).items() if name.startswith(projection.name)}


@every
async def test_taking_in_again_changes_nothing(projection: Projection, place: Place) -> None:
    await write(place, sagas(12))
    await runner(place, projection).catch_up()
    once = await only(place, projection)
    assert all(rows for rows in once.values())
    [before] = await place.query("SELECT * FROM test.projections WHERE name = %s", projection.name)
    for position in (0, before["position"] // 2):
        await place.query(
            "UPDATE test.projections SET position = %s WHERE name = %s", position, projection.name
        )
        await runner(place, projection).catch_up()
    [after] = await place.query("SELECT * FROM test.projections WHERE name = %s", projection.name)
    assert after["position"] == before["position"]
    assert after["events"] > 2 * before["events"], "they were taken in again"
    assert await only(place, projection) == once


@every
async def test_a_rebuild_equals_the_live_one(projection: Projection, place: Place) -> None:
    scribes = sagas(24)
    for begin in range(0, 24, 6):
        await write(place, scribes[begin : begin + 6])
        await runner(place, projection, batch_size=5).catch_up()
    live = await only(place, projection)
    await runner(place, projection, batch_size=1000).rebuild([projection.name])
    assert await only(place, projection) == live


@every
async def test_batches_of_any_size_give_the_same(projection: Projection, place: Place) -> None:
    await write(place, sagas(12))
    await runner(place, projection, batch_size=1000).catch_up()
    at_once = await only(place, projection)
    await runner(place, projection, batch_size=1).rebuild([projection.name])
    assert await only(place, projection) == at_once


@every
async def test_the_order_of_other_sagas_is_of_no_account(projection: Projection, place: Place) -> None:
    scribes = sagas(12)
    for scribe in scribes:
        await place.record_many([(scribe.id, event) for event in scribe.events])
    await runner(place, projection, batch_size=1000).catch_up()
    one_after_another = await only(place, projection)
    await place.forget_histories()
    await write(place, scribes)
    await runner(place, projection, batch_size=1000).rebuild([projection.name])
    assert await only(place, projection) == one_after_another


@every
async def test_folding_is_pure(projection: Projection) -> None:
    events = [
        logged(place, saga_id, version, topic, stored) for place, saga_id, version, topic, stored in _stored()
    ]
    copies = [each._replace(data=dict(each.data)) for each in events]
    first = projection.fold({}, events)
    assert projection.fold({}, copies) == first
    assert events == [Logged(*each) for each in copies], "it changes none of the events"


@every
async def test_events_that_mean_nothing_to_it_are_taken_in(projection: Projection, place: Place) -> None:
    await write(place, sagas(4))
    await runner(place, projection).catch_up()
    head = (await place.query("SELECT max(notification_id) AS head FROM test.events"))[0]["head"]
    assert (await place.positions())[projection.name] == head


def _stored() -> list[tuple[int, Any, int, str, bytes]]:
    aggregates: dict[Any, SagaAggregate] = {}
    found = []
    for position, (saga_id, event) in enumerate(mingled(sagas(8)), start=1):
        [recorded] = aggregates.setdefault(saga_id, SagaAggregate(saga_id)).append([event])
        found.append((position, str(saga_id), recorded.originator_version, recorded.topic, recorded.stored))
    return found
