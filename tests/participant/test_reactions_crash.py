"""A service that reacts to events, killed with -9 at each labelled point of a batch: effects once, every event told."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from amends.domain import wire
from amends.infrastructure.broker import ConsumerSpec
from amends.infrastructure.ports import Incoming
from amends.participant.consumers import consumers_of
from tests.participant.rooms import booked, hotels, refused
from tests.participant.stage import UNPUBLISHED, WITHIN, Stage, settled
from tests.participant.test_crash import LABELS

ROOT = Path(__file__).parents[2]
TRIPS = 10


@pytest.mark.semantics("choreography-promises")
@pytest.mark.parametrize("label", LABELS)
async def test_a_service_killed_at(stage: Stage, label: str) -> None:
    hotel = hotels(batch=10, ack_wait=timedelta(seconds=2))
    await stage.broker.ensure(
        (), consumers_of("hotels", stage.namespace, hotel.handlers, hotel.reactions, 2.0)
    )
    kept = [booked(f"k{n}") for n in range(TRIPS)]
    undone = [each for n in range(TRIPS) for each in (booked(f"x{n}"), refused(f"x{n}"))]
    await stage.command(*kept, *undone)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.participant.crashing_hotel", label, stage.service.url, stage.nats_url,
        stage.namespace, cwd=ROOT,
    )  # fmt: skip
    assert await asyncio.wait_for(process.wait(), WITHIN) == -signal.SIGKILL
    async with stage.running(hotel):
        told = await _told(stage)
        await settled(stage.service, UNPUBLISHED, [0])
    assert len(told) == len({each.headers[wire.CE_ID] for each in told})
    for number in range(TRIPS):
        assert await stage.service.effects(f"k{number}") == ["book"]
        # A compensating event may have overtaken what it undoes, which is delivered again later.
        assert await stage.service.effects(f"x{number}") in (["book", "cancel"], [])


async def _told(stage: Stage) -> list[Incoming]:
    """What the hotel tells, each once: a room for every trip that stays, and a cancellation for every other."""
    subjects = tuple(
        wire.event_subject(stage.namespace, each) for each in ("hotels.booked", "hotels.cancelled")
    )
    spec = ConsumerSpec(wire.stream(stage.namespace, "events"), "listener", subjects)
    await stage.broker.ensure((), [spec])
    found: dict[str, Incoming] = {}
    async with asyncio.timeout(WITHIN), stage.broker.inbox([spec]) as inbox:
        while not _complete([each.headers[wire.KEY] for each in found.values()], found):
            messages = await inbox.receive(100, None)
            found |= {each.headers[wire.CE_ID]: each for each in messages}
            await inbox.acknowledge(messages)
    return list(found.values())


def _complete(keys: list[str], found: dict[str, Incoming]) -> bool:
    cancelled = {each.headers[wire.KEY] for each in found.values() if each.subject.endswith("cancelled")}
    kept = {key for key in keys if key.startswith("k")}
    return len(kept) == TRIPS and len(cancelled) == TRIPS
