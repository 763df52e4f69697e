"""A foreign service on the wire: its events find the saga by a field, and are taken for answers."""

from __future__ import annotations

import pytest

from amends import Command, Event, Foreign, Saga, step
from amends.domain import wire
from tests.domain.driver import Placed
from tests.process_managers.system import NAMESPACE, System


class CarBooked(Event, subject="cars.booked"):
    order: str


class CarSoldOut(Event, subject="cars.sold-out"):
    order: str


class BookCar(Command[CarBooked], subject="cars.book"):
    order: str


class Trip(Saga[Placed], name="trip", version=1, key="order_id"):
    @step(foreign=Foreign(key="order", rejected=[CarSoldOut]))
    def car(self) -> BookCar:
        return BookCar(order=self.key)


@pytest.fixture
async def trips(system: System) -> System:
    """Two trips whose cars are asked for."""
    system.services.says["car"] = None
    await system.engine(Trip)
    await system.place("o1", "o2")
    await system.settle()
    return system


async def test_an_event_of_a_foreign_service_is_the_answer_of_the_saga_whose_key_it_holds(
    trips: System,
) -> None:
    await trips.tell("cars.booked", "booked-1", b'{"order": "o1"}')
    await trips.tell("cars.sold-out", "sold-out-1", b'{"order": "o2"}')
    await trips.settle()
    assert await trips.status("o1", "trip") == "completed"
    assert await trips.status("o2", "trip") == "compensated"


async def test_a_command_to_a_foreign_service_carries_the_headers_of_every_command(trips: System) -> None:
    first = trips.services.received[0]
    assert first.subject == f"{NAMESPACE}.cmd.cars.book"
    assert {wire.IDEMPOTENCY_KEY, wire.KEY, wire.SAGA_ID} <= first.headers.keys()


async def test_an_event_of_a_foreign_service_that_comes_again_changes_nothing(trips: System) -> None:
    for _ in range(2):
        await trips.tell("cars.booked", "booked-1", b'{"order": "o1"}')
        await trips.settle()
    assert (await trips.told("o1", "trip")).count("event.taken-for-answer") == 1


async def test_an_event_of_a_foreign_service_for_somebody_else_is_ignored_and_that_is_recorded(
    trips: System,
) -> None:
    await trips.tell("cars.booked", "booked-9", b'{"order": "somebody-elses"}')
    await trips.settle()
    (event,) = await trips.store.unclaimed(10)
    assert (event.message_id, event.became) == ("booked-9", "ignored")
    assert not trips.store.dead
