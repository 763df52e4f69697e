"""Questions to whichever program knows the answer, and their answers: request and reply, without a stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from nats import errors
from nats.aio.msg import Msg

from amends.domain.errors import AmendsError
from amends.infrastructure.nats.connection import Broker

_LOG: Final = logging.getLogger("amends.nats")
_TRIES: Final = 3


class NobodyAnswers(AmendsError):
    """No program that could answer is connected; nothing was done."""


class NoAnswer(AmendsError):
    """A program that could answer is connected, and did not in time; what was asked for may be done or not."""


@asynccontextmanager
async def answering(
    broker: Broker, subjects: Sequence[str], answer: Callable[[bytes], Awaitable[bytes]]
) -> AsyncIterator[None]:
    """In the body, questions on these subjects are answered; of several programs that do so each gets some."""

    async def reply(message: Msg) -> None:
        try:
            await message.respond(await answer(message.data))
        except Exception:  # noqa: BLE001 - the one who asked will ask again, or give up
            _LOG.exception("a request on %s could not be answered", message.subject)

    client: Any = broker.client  # untyped there
    subscriptions = [await client.subscribe(subject, queue=subject, cb=reply) for subject in subjects]
    await client.flush()
    try:
        yield
    finally:
        if broker.is_up:
            for subscription in subscriptions:
                await subscription.unsubscribe()


async def ask(broker: Broker, subject: str, question: bytes, *, within: float = 10.0) -> bytes:
    """The answer. The question is put again where none comes `within` so many seconds, so it may be answered twice.

    Raises `NobodyAnswers`, `NoAnswer`.
    """
    for _ in range(_TRIES):
        await broker.connected()
        try:
            message = await broker.client.request(subject, question, timeout=within)
        except errors.NoRespondersError:
            raise NobodyAnswers(f"expected a program that answers on {subject}; none is connected") from None
        except (TimeoutError, errors.OutboundBufferLimitError):
            continue
        return message.data
    raise NoAnswer(
        f"expected an answer on {subject} within {_TRIES * within:g} s; none came, and what was asked for "
        "may be done or not. The same request again does nothing twice"
    )
