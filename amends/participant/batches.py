"""A participant's batches: received, answered in as few transactions as can be, published, acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import psycopg

from amends.infrastructure.ports import Inbox, Incoming
from amends.infrastructure.postgres.link import is_transient
from amends.infrastructure.waiting import Waiting
from amends.participant.desk import Answered, Desk
from amends.participant.ports import Answers, Link

_LOG: Final = logging.getLogger("amends.participant")


class Batches:
    """Answers batches on a connection that comes back, in smaller transactions where that is needed."""

    def __init__(self, desk: Desk, link: Link) -> None:
        self._desk = desk
        self._link = link

    async def answer(self, messages: Sequence[Incoming]) -> Answered:
        """Answer all; where handlers stand in another replica's way, in smaller transactions."""
        answered = Answered()
        rest, size = list(messages), len(messages)
        while rest:
            part = rest[:size]
            done = await self._link.run(partial(self._attempt, part))
            if done is None:
                size = max(1, len(part) // 2)
                continue
            answered.recorded.extend(done.recorded)
            answered.postponed.extend(done.postponed)
            rest = rest[size:]
        return answered

    async def _attempt(self, part: Sequence[Incoming], connection: Any) -> Answered | None:
        """None: again, with fewer messages in the transaction."""
        try:
            return await self._desk.answer(connection, part)
        except psycopg.Error as error:
            alone = len(part) == 1
            victim = is_transient(error) and (error.sqlstate or "").startswith("40")
            # A constraint deferred to the commit: alone, it is laid to the handler whose it is.
            deferred = isinstance(error, psycopg.IntegrityError)
            if alone or connection.broken or not (victim or deferred):
                raise
            _LOG.warning("a batch of %d is tried again in smaller ones: %s", len(part), error)
            return None


class Loop:
    """One batch of up to `limit` messages after the other: receive, answer, publish, acknowledge.

    While the answers to one are published, the next is received and answered.
    """

    def __init__(
        self, batches: Batches, answers: Answers, inbox: Inbox, limit: int, probe: Callable[[str], None]
    ) -> None:
        self._batches = batches
        self._answers = answers
        self._inbox = inbox
        self._limit = limit
        self._probe = probe

    async def run(self, stopping: asyncio.Event) -> None:
        """Batch after batch, until `stopping` is set."""
        waiting = Waiting()
        stopped = asyncio.ensure_future(stopping.wait())
        stopped.add_done_callback(lambda _: waiting.end())
        telling: asyncio.Task[None] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                while not stopping.is_set():
                    messages = await waiting.until(self._inbox.receive(self._limit, None), ())
                    answered = await self._answer(messages)
                    if telling is not None:
                        await telling
                    telling = group.create_task(self._tell(messages, answered))
        finally:
            stopped.cancel()

    async def step(self, messages: Sequence[Incoming]) -> None:
        """Handle these messages as one batch."""
        await self._tell(messages, await self._answer(messages))

    async def _answer(self, messages: Sequence[Incoming]) -> Answered:
        if messages:
            self._probe("received")
        return await self._batches.answer(messages)

    async def _tell(self, messages: Sequence[Incoming], answered: Answered) -> None:
        if not messages:
            return
        await self._answers.publish(answered.recorded)
        self._probe("published")
        await self._inbox.acknowledge([each for each in messages if each not in answered.postponed])
        self._probe("acknowledged")
