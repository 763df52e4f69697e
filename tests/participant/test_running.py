"""A participant on real servers: over the broker, through losses, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from amends.domain import wire
from amends.infrastructure.broker import ConfiguredOtherwise, ConsumerSpec, streams
from amends.infrastructure.errors import DatabaseUnreachable
from amends.infrastructure.ports import Incoming
from amends.participant import Participant, Tx
from tests.participant.service import (
    NAMESPACE,
    Charge,
    Charged,
    compensate,
    effect,
    forward,
    payments,
)
from tests.participant.stage import UNPUBLISHED, WITHIN, Stage, outcomes, settled


async def test_commands_are_answered_over_the_broker(stage: Stage) -> None:
    await stage.command(*(forward(f"k{number}") for number in range(250)))
    async with stage.running():
        answers = await stage.answers(250)
        await settled(stage.service, UNPUBLISHED, [0])
    assert outcomes(answers) == ["succeeded"] * 250
    assert await stage.service.column("SELECT count(*) FROM effects") == [250]


async def test_replicas_share_the_work_and_keep_the_promises_together(stage: Stage) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(stage.running(payments(batch=5)))
        for number in range(100):
            await stage.command(forward(f"k{number}"), forward(f"k{number}"), compensate(f"k{number}"))
        await stage.answers(300)
    counts = await stage.service.column("SELECT count(*) FROM effects GROUP BY order_id, kind")
    assert counts
    assert set(counts) == {1}


async def test_handlers_of_two_replicas_in_each_others_way_both_succeed(stage: Stage) -> None:
    """Each takes rows in the other order: one becomes the victim, and tries again in smaller parts."""
    connection = stage.service.connection
    await connection.execute("CREATE TABLE stock (item text PRIMARY KEY, taken int NOT NULL DEFAULT 0)")
    await connection.execute("INSERT INTO stock VALUES ('a'), ('b')")
    met = asyncio.Barrier(2)
    meetings = 0

    def participant() -> Participant:
        made = Participant("payments", batch=2)
        order: list[str] = []

        @made.handles(Charge)
        async def charge(command: Charge, tx: Tx) -> Charged:
            nonlocal meetings
            item = command.order_id[0]
            await tx.execute("UPDATE stock SET taken = taken + 1 WHERE item = %s", [item])
            await effect(tx, command.order_id, "charge")
            order.append(item)
            if len(order) == 1:
                meetings += 1
                await met.wait()
            return Charged(order_id=command.order_id, amount=command.amount)

        return made

    first, second = participant(), participant()
    limit, namespace = wire.MAX_MESSAGE, NAMESPACE
    from amends.infrastructure.postgres.link import Link
    from amends.participant.batches import Batches

    async def replica(each: Participant, batch: list[Incoming]) -> int:
        async with Link(stage.service.url, name="replica") as link:
            return len((await Batches(each.desk(namespace, limit), link).answer(batch)).recorded)

    counts = await asyncio.gather(  # pairs of rows, taken crosswise
        replica(first, [forward("a1"), forward("b1")]), replica(second, [forward("b2"), forward("a2")])
    )
    assert list(counts) == [2, 2]
    assert meetings == 2
    assert await stage.service.column("SELECT taken FROM stock ORDER BY item") == [2, 2]
    assert await stage.service.column("SELECT count(*) FROM effects GROUP BY order_id") == [1] * 4


async def test_a_constraint_deferred_to_the_commit_fails_its_own_command_only(stage: Stage) -> None:
    async with stage.running():
        await stage.command(forward("k1"), forward("k2", "later"), forward("k3"))
        answers = await stage.answers(3)
    assert outcomes(answers) == ["failed", "succeeded", "succeeded"]
    assert (await stage.service.effects("k1"), await stage.service.effects("k2")) == (["charge"], [])


async def test_the_batch_is_tried_again_when_the_database_connection_breaks(stage: Stage) -> None:
    participant = Participant("payments")
    killed: list[int] = []

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        await effect(tx, command.order_id, "charge")
        if not killed:
            killed.append(tx.info.backend_pid)
            await stage.service.connection.execute("SELECT pg_terminate_backend(%s)", killed)
            await tx.execute("SELECT 1")
        return Charged(order_id=command.order_id, amount=command.amount)

    async with stage.running(participant):
        await stage.command(forward())
        answers = await stage.answers(1)
    assert outcomes(answers) == ["succeeded"]
    assert await stage.service.effects() == ["charge"]


async def test_what_a_dead_replica_committed_is_published_at_the_start(stage: Stage) -> None:
    message = forward()
    own = replace(message, subject=stage.outgoing(message).subject)
    await stage.service.participant.desk(stage.namespace).answer(stage.service.connection, [own])
    async with stage.running():
        [answer] = await stage.answers(1)
        await settled(stage.service, UNPUBLISHED, [0])
    assert answer.headers[wire.CAUSATION_ID] == message.headers[wire.CE_ID]


async def test_answers_that_the_broker_lost_are_published_again(stage: Stage) -> None:
    async with stage.running():
        await stage.command(forward("k1"), forward("k2"))
        before = await stage.answers(2)
        await settled(stage.service, UNPUBLISHED, [0])
        await stage.broker.api.call(f"STREAM.DELETE.{wire.stream(stage.namespace, 'events')}")
        consumer = ConsumerSpec(
            wire.stream(stage.namespace, "events"), "again", (f"{stage.namespace}.evt.>",)
        )
        await settled(stage.service, "SELECT min(losses) > 0 FROM amends_participant.outbox", [True])
        await stage.broker.ensure(streams(stage.namespace, timedelta(days=7)), [consumer])
        async with stage.broker.inbox([consumer]) as inbox:
            after = await replace(stage, inbox=inbox).answers(2)
    assert {each.headers[wire.CE_ID] for each in before} == {each.headers[wire.CE_ID] for each in after}
    deduplication = {each.headers[wire.NATS_MSG_ID] for each in after}
    assert deduplication.isdisjoint(each.headers[wire.NATS_MSG_ID] for each in before)
    assert await stage.service.column("SELECT count(*) FROM effects") == [2]


async def test_commands_sent_again_after_a_loss_are_answered_and_have_no_second_effect(stage: Stage) -> None:
    message = forward()
    async with stage.running():
        await stage.command(message)
        [before] = await stage.answers(1)
        await stage.broker.api.call(f"STREAM.DELETE.{wire.stream(stage.namespace, 'commands')}")
        mark = "SELECT created FROM amends_participant.marks WHERE stream LIKE '%%COMMANDS'"
        known = await stage.service.column(mark)
        async with asyncio.timeout(WITHIN):
            while await stage.service.column(mark) == known:
                await stage.service.connection.execute("SELECT pg_sleep(0.02)")
        publisher = stage.broker.publisher()
        await publisher.publish([replace(stage.outgoing(message), deduplication_id="again")])
        await publisher.publish([stage.outgoing(forward("k2"))])
        await publisher.close()
        await stage.answers(1)
    assert before.headers[wire.OUTCOME] == "succeeded"
    assert await stage.service.effects() == ["charge"]
    assert await stage.service.effects("k2") == ["charge"]


async def test_stopping_finishes_the_batch_at_hand(stage: Stage) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    participant = Participant("payments")

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        reached.set()
        await go_on.wait()
        await effect(tx, command.order_id, "charge")
        return Charged(order_id=command.order_id, amount=command.amount)

    run = asyncio.create_task(
        participant.run(database_url=stage.service.url, nats_url=stage.nats_url, namespace=stage.namespace)
    )
    await stage.command(forward())
    await asyncio.wait_for(reached.wait(), WITHIN)
    participant.stop()
    go_on.set()
    await asyncio.wait_for(run, WITHIN)
    assert outcomes(await stage.answers(1)) == ["succeeded"]
    assert await stage.service.effects() == ["charge"]
    assert await stage.service.column(UNPUBLISHED) == [0]


async def test_a_stream_configured_otherwise_is_a_clear_error(stage: Stage) -> None:
    other = replace(streams(stage.namespace, timedelta(days=7))[0], max_age=timedelta(days=1))
    await stage.broker.api.call(f"STREAM.DELETE.{other.name}")
    await stage.broker.ensure([other], [])
    with pytest.raises(ConfiguredOtherwise, match="max_age"):
        async with stage.running():
            pass


async def test_an_unreachable_database_is_told_at_the_start(stage: Stage) -> None:
    gone = replace(stage, service=replace(stage.service, url=f"{stage.service.url}&dbname=missing"))
    with pytest.raises(DatabaseUnreachable, match=r"AMENDS_PARTICIPANT_DATABASE_URL.*missing"):
        async with gone.running():
            pass


async def test_resources_reach_the_handlers(stage: Stage) -> None:
    @asynccontextmanager
    async def clients() -> AsyncIterator[list[str]]:
        yield called

    called: list[str] = []
    participant = Participant("payments", lifespan=clients)

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        participant.resources.append(command.order_id)
        return Charged(order_id=command.order_id, amount=command.amount)

    async with stage.running(participant):
        await stage.command(forward())
        await stage.answers(1)
    assert called == ["k1"]
