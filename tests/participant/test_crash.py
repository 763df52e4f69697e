"""A replica killed with -9 at each labelled point of a batch: effects once, every command answered."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from amends.domain import wire
from tests.participant.service import compensate, forward, payments
from tests.participant.stage import UNPUBLISHED, WITHIN, Stage, settled

ROOT = Path(__file__).parents[2]
ACK_WAIT = timedelta(seconds=2)
LABELS = ("received", "loaded", "handled", "committed", "published", "acknowledged")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.semantics("promise-one-commit")
async def test_a_replica_killed_at(stage: Stage, label: str) -> None:
    messages = [
        each
        for n in range(20)
        for each in (forward(f"k{n}"), forward(f"n{n}", "reject"), forward(f"x{n}"), compensate(f"x{n}"))
    ]
    await stage.command(*messages)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.participant.crashing",
        label,
        stage.service.url,
        stage.nats_url,
        stage.namespace,
        cwd=ROOT,
    )
    assert await asyncio.wait_for(process.wait(), WITHIN) == -signal.SIGKILL
    async with stage.running(payments(batch=10, ack_wait=ACK_WAIT)):
        answers = await stage.answers(len(messages))
        await settled(stage.service, UNPUBLISHED, [0])
    answered = {each.headers[wire.CAUSATION_ID] for each in answers}
    assert answered == {each.headers[wire.CE_ID] for each in messages}
    assert not [each for each in answers if each.headers[wire.OUTCOME] == "failed"]
    for number in range(20):
        assert await stage.service.effects(f"k{number}") == ["charge"]
        assert await stage.service.effects(f"n{number}") == []
        # A compensation may have overtaken its forward command, which is delivered again later.
        assert await stage.service.effects(f"x{number}") in (["charge", "refund"], [])
