"""Questions to whichever program knows the answer."""

from __future__ import annotations

import pytest

from amends.infrastructure.embedded import Servers
from amends.infrastructure.nats import Broker
from amends.infrastructure.nats.requests import NoAnswer, NobodyAnswers, answering, ask


async def test_one_of_the_programs_that_answer_is_asked(servers: Servers, namespace: str) -> None:
    asked: list[str] = []
    subject = f"{namespace}.svc.act.order.1"

    def program(name: str) -> Broker:
        return Broker(servers.nats_url, name=name, namespace=namespace)

    async with program("one") as one, program("two") as two, program("asks") as broker:

        async def answer(question: bytes) -> bytes:
            asked.append(question.decode())
            return question.upper()

        async with answering(one, [subject], answer), answering(two, [subject], answer):
            assert await ask(broker, subject, b"suspend") == b"SUSPEND"
        assert asked == ["suspend"]
        with pytest.raises(NobodyAnswers, match=f"expected a program that answers on {subject}; none"):
            await ask(broker, subject, b"resume")


async def test_a_question_that_could_not_be_answered_is_put_again(servers: Servers, namespace: str) -> None:
    subject = f"{namespace}.svc.act.order.1"
    fails = 2

    async def answer(_: bytes) -> bytes:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise RuntimeError("a fault")
        return b"{}"

    async with (
        Broker(servers.nats_url, namespace=namespace) as broker,
        answering(broker, [subject], answer),
    ):
        assert await ask(broker, subject, b"suspend", within=0.2) == b"{}"
        fails = 10
        with pytest.raises(NoAnswer, match="may be done or not"):
            await ask(broker, subject, b"suspend", within=0.1)
