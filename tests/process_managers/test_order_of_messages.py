"""The order in which messages came counts, whichever batches they are in and however long these take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from amends import Action, Event, ProcessManager, also_known_as, on, starts
from amends.testing.stepper import Stepper
from tests.process_managers.system import Instead


class Booked(Event, subject="shipments.booked"):
    shipment: str


class Packed(Event, subject="shipments.packed"):
    shipment: str
    parcel: str


class Weighed(Event, subject="shipments.weighed"):
    shipment: str


class Scanned(Event, subject="parcels.scanned"):
    parcel: str


class Dropped(Event, subject="parcels.dropped"):
    parcel: str


class Seen(BaseModel):
    events: list[str] = []


class Shipment(ProcessManager[Seen], name="shipment", version=1):
    """Learns which parcel it is, and hears of it."""

    @starts(Booked, key="shipment")
    def booked(self, event: Booked) -> None:
        self.state.events.append("booked")

    @on(Packed, key="shipment")
    def packed(self, event: Packed) -> Iterator[Action]:
        yield also_known_as("parcel", event.parcel)

    @on(Weighed, key="shipment")
    def weighed(self, event: Weighed) -> None:
        self.state.events.append("weighed")

    @on(Scanned, known_as="parcel", missing="dead")
    def scanned(self, event: Scanned) -> None:
        self.state.events.append("scanned")

    @on(Dropped, known_as="parcel", missing="ignore")
    def dropped(self, event: Dropped) -> None:
        self.state.events.append("dropped")


class Held:
    """Lets some calls of a port wait."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def call(self, method: Any) -> Any:
        async def wait(*given: Any) -> Any:
            await self.open.wait()
            return await method(*given)

        return wait


@pytest.fixture
def stepper() -> Iterator[Stepper]:
    made = Stepper()
    yield made
    made.close()


def tell(stepper: Stepper, *events: Event) -> None:
    """All of them at once, so that they come in one batch."""
    messages = [
        stepper.event(event.subject, f"{event.subject}-{number}", event.model_dump_json().encode(), None)
        for number, event in enumerate(events)
    ]
    stepper.complete(stepper.broker.publisher().publish(messages))
    stepper.settle()


def causes(stepper: Stepper) -> list[str]:
    told = [recorded.event.cause for recorded in stepper.history(stepper.id("shipment", "s1"))]
    return list(dict.fromkeys(told))


def test_messages_of_a_saga_keep_their_order_whatever_else_is_in_their_batches(stepper: Stepper) -> None:
    """The first batch has a key to look up, and the second one has not."""
    finding = Held()
    store = Instead(stepper.store, find=finding.call(stepper.store.find))
    stepper.worker("one", [Shipment.definition], store=store)
    tell(stepper, Booked(shipment="s1"))
    finding.open.clear()
    tell(stepper, Dropped(parcel="other"), Weighed(shipment="s1"))
    tell(stepper, Packed(shipment="s1", parcel="p1"))
    finding.open.set()
    stepper.settle()
    assert causes(stepper) == ["shipments.booked-0", "shipments.weighed-1", "shipments.packed-0"]


@pytest.mark.parametrize("event", [Scanned(parcel="p1"), Dropped(parcel="p1")])
@pytest.mark.parametrize("batches", [1, 2])
def test_an_event_finds_the_saga_that_learnt_its_key_just_before(
    stepper: Stepper, event: Event, batches: int
) -> None:
    """In the same batch, or in one that is still being saved."""
    saving = Held()
    store = Instead(stepper.store, commit=saving.call(stepper.store.commit))
    stepper.worker("one", [Shipment.definition], store=store)
    tell(stepper, Booked(shipment="s1"))
    saving.open.clear()
    packed = Packed(shipment="s1", parcel="p1")
    if batches == 1:
        tell(stepper, packed, event)
    else:
        tell(stepper, packed)
        tell(stepper, event)
    saving.open.set()
    stepper.settle()
    assert causes(stepper)[2:] == [f"{event.subject}-{2 - batches}"]
    assert not stepper.store.dead
    assert not stepper.complete(stepper.store.unclaimed(10))
