"""What a batch changes for its handlers: all in one transaction, and still each on its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from amends.domain import wire
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.outbox import Recorded
from amends.participant import Participant, Rejected, Tx
from amends.participant.batches import Loop
from amends.participant.desk import Answered
from tests.participant.service import (
    Charge,
    Charged,
    Service,
    compensate,
    effect,
    forward,
    misbehave,
)


def counting(runs: Counter[str]) -> Participant:
    """Payments that count how often each handler runs; `first` fails before it asks anything of the database."""
    participant = Participant("payments")

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        runs[command.order_id] += 1
        if command.behave == "first":
            raise Rejected("declined", "the card was declined")
        await effect(tx, command.order_id, "charge")
        await misbehave(command.behave, tx, command.order_id)
        return Charged(order_id=command.order_id, amount=command.amount)

    return participant


@pytest.fixture
def runs(service: Service) -> Counter[str]:
    counted = Counter[str]()
    service.participant = counting(counted)
    return counted


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        ("reject", "rejected/declined"),
        ("first", "rejected/declined"),
        ("fail", "failed/busy"),
        ("break", "failed/error"),
        ("too slow", "failed/error"),
        ("swallow", "failed/error"),
    ],
)
@pytest.mark.semantics("promise-one-commit")
async def test_one_handler_that_does_not_succeed_leaves_the_others_work(
    service: Service, runs: Counter[str], behave: str, code: str
) -> None:
    codes = await service.codes(forward("k1"), forward("k2", behave), forward("k3"))
    assert codes == ["succeeded", code, "succeeded"]
    assert [await service.effects(key) for key in ("k1", "k2", "k3")] == [["charge"], [], ["charge"]]


async def test_a_no_before_anything_was_asked_of_the_database_costs_the_others_nothing(
    service: Service, runs: Counter[str]
) -> None:
    await service.codes(forward("k1"), forward("k2", "first"), forward("k3"))
    assert runs == {"k1": 1, "k2": 1, "k3": 1}


async def test_after_a_no_that_had_to_be_undone_handlers_have_savepoints_for_a_while(
    service: Service, runs: Counter[str]
) -> None:
    desk = service.participant.desk("amends")
    await desk.answer(service.connection, [forward("k1"), forward("k2", "reject"), forward("k3")])
    await desk.answer(service.connection, [forward("k4"), forward("k5", "reject"), forward("k6")])
    assert runs == {"k1": 2, "k2": 2, "k3": 1, "k4": 1, "k5": 1, "k6": 1}
    await desk.answer(service.connection, [forward(f"many-{number}") for number in range(1000)])
    await desk.answer(service.connection, [forward("k7"), forward("k8", "reject")])
    assert runs["k7"] == 2


async def test_what_another_handler_left_of_a_key_is_decided_again_with_the_batch(service: Service) -> None:
    """The first attempt fails after work of its own; what follows under its key sees that, and not what was undone."""
    codes = await service.codes(
        forward("k1"),
        forward("k2", "fail"),
        forward("k2"),
        compensate("k1", key="c1"),
        forward("k3", "reject"),
        forward("k3"),
        compensate("k3", key="c3"),
    )
    assert codes == [
        "succeeded",
        "failed/busy",
        "succeeded",
        "succeeded",
        "rejected/declined",
        "rejected/declined",
        "succeeded",
    ]
    assert await service.effects("k1") == ["charge", "refund"]
    assert await service.effects("k2") == ["charge"]
    assert await service.effects("k3") == []


async def test_a_message_that_cannot_be_read_goes_from_the_middle_of_a_batch_that_is_begun_again(
    service: Service,
) -> None:
    sent = await service.send(forward("k1"), forward("k2", body=b"{"), forward("k3", "reject"), forward("k4"))
    assert [each.headers.get(wire.OUTCOME) for each in sent] == [
        "succeeded",
        "failed",
        "rejected",
        "succeeded",
        None,
    ]
    assert await service.column("SELECT count(*) FROM amends_participant.dead_letters") == [1]
    assert await service.effects("k4") == ["charge"]


async def test_a_handler_that_ends_the_transaction_ends_the_participant(service: Service) -> None:
    participant = Participant("payments")

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        await tx.execute("COMMIT")
        return Charged(order_id=command.order_id, amount=command.amount)

    service.participant = participant
    with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
        await service.codes(forward())


async def test_a_batch_of_large_answers_is_saved(service: Service) -> None:
    """Together they are more than fits into the buffers of a socket."""
    participant = Participant("payments")

    @participant.handles(Charge)
    async def charge(command: Charge, tx: Tx) -> Charged:
        return Charged(order_id="x" * 500_000, amount=command.amount)

    service.participant = participant
    async with asyncio.timeout(60):
        assert await service.codes(*(forward(f"k{n}") for n in range(40))) == ["succeeded"] * 40


class Outside:
    """Two batches to take, and a broker that stores the first one's answers only when the second is answered."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stopping = asyncio.Event()
        self._to_come = [forward("k1"), forward("k2")]
        self._second_answered = asyncio.Event()

    async def receive(self, limit: int, timeout: float | None) -> list[Incoming]:
        if self._to_come:
            return [self._to_come.pop(0)]
        await self.stopping.wait()
        return []

    async def answer(self, messages: Sequence[Incoming]) -> Answered:
        for each in messages:
            key = each.headers[wire.IDEMPOTENCY_KEY]
            self.done.append(f"answered {key}")
            if key == "k2":
                self._second_answered.set()
            message = Outgoing(key, "a.b", {}, b"{}")
            return Answered([Recorded(1, message)])
        return Answered()

    async def publish(self, recorded: Sequence[Recorded]) -> None:
        await self._second_answered.wait()
        self.done += [f"published {each.message.message_id}" for each in recorded]

    async def acknowledge(self, messages: Sequence[Incoming]) -> None:
        self.done += [f"acknowledged {each.headers[wire.IDEMPOTENCY_KEY]}" for each in messages]
        if "acknowledged k2" in self.done:
            self.stopping.set()


async def test_the_next_batch_is_answered_while_the_answers_to_one_are_published() -> None:
    outside: Any = Outside()
    loop = Loop(outside, outside, outside, 100, lambda _: None)
    async with asyncio.timeout(60):
        await loop.run(outside.stopping)
    assert outside.done == [
        "answered k1",
        "answered k2",
        "published k1",
        "acknowledged k1",
        "published k2",
        "acknowledged k2",
    ]


async def test_stopping_waits_for_the_answers_on_their_way() -> None:
    outside: Any = Outside()
    loop = Loop(outside, outside, outside, 100, lambda label: outside.stopping.set())
    outside._second_answered.set()
    async with asyncio.timeout(60):
        await loop.run(outside.stopping)
    assert outside.done == ["answered k1", "published k1", "acknowledged k1"]
