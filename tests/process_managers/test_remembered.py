"""What a worker keeps of the sagas that it saved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from amends.domain.aggregate import SagaAggregate
from amends.domain.events import SagaCompleted, SagaStarted
from amends.domain.told import Tick
from amends.process_managers.remembered import Remembered

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def saga() -> SagaAggregate:
    made = SagaAggregate(uuid4())
    common = {"at": NOW, "cause": "m", "by": "w"}
    made.append(
        [SagaStarted(saga="s", definition=1, namespace="n", key="k", subject="a.b", start={}, **common)]
    )
    return made


def told(sagas: Iterable[SagaAggregate]) -> dict[UUID, list[Tick]]:
    return {each.id: [Tick(until=NOW + timedelta(days=1))] for each in sagas}


def test_what_was_kept_is_given_once() -> None:
    remembered, one, other = Remembered(10), saga(), saga()
    remembered.keep([one])
    assert remembered.take(told([one, other])) == {one.id: one}
    assert remembered.take(told([one])) == {}


def test_the_least_lately_kept_are_forgotten_first_and_what_is_over_is_not_kept() -> None:
    remembered, sagas, over = Remembered(2), [saga() for _ in range(3)], saga()
    over.append([SagaCompleted(at=NOW, cause="m", by="w")])
    remembered.keep([over, *sagas])
    assert list(remembered.take(told([over, *sagas]))) == [each.id for each in sagas[1:]]


def test_where_many_are_out_of_date_nothing_is_remembered_for_a_while() -> None:
    remembered, sagas = Remembered(100), [saga() for _ in range(10)]
    remembered.keep(sagas)
    taken = remembered.take(told(sagas))
    remembered.check(taken, 1)  # a cancelled one, say
    remembered.keep(sagas)
    assert len(remembered.take(told(sagas))) == 10
    remembered.check(taken, 2)
    for _ in range(100):
        remembered.keep(sagas)
        assert remembered.take(told(sagas)) == {}
    remembered.keep(sagas)
    assert len(remembered.take(told(sagas))) == 10
