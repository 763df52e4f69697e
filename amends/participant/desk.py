"""A batch of command messages, answered in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from amends.domain import wire
from amends.domain.wire import Outcome
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.outbox import Recorded
from amends.participant.answers import Writer
from amends.participant.errors import AnswerTooLarge, Undecodable
from amends.participant.handlers import Handler, Handlers
from amends.participant.handling import LONGEST_TEXT, handle
from amends.participant.memory import Answer, Memory
from amends.participant.ports import Connection, Ledger, Outbox, Savepoint
from amends.participant.promises import answer_from_memory, refusal, settle
from amends.participant.requests import Claim, DeadLetter, Request, correlated, read, subject_of

_LOG: Final = logging.getLogger("amends.participant")


@dataclass(slots=True)
class _Batch:
    """What came, by its place in the batch, and what comes of it. Dead letters may be answered as well."""

    messages: Sequence[Incoming]
    requests: dict[int, tuple[Request, Handler]] = field(default_factory=dict[int, tuple[Request, Handler]])
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    dead: list[DeadLetter] = field(default_factory=list[DeadLetter])


class Desk:
    """Takes batches of messages and keeps the promises about each, on the connection that it is given."""

    def __init__(
        self,
        writer: Writer,
        handlers: Handlers,
        ledger: Ledger,
        outbox: Outbox,
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._writer = writer
        self._namespace = writer.namespace
        self._handlers = handlers
        self._ledger = ledger
        self._outbox = outbox
        self._probe = probe

    async def answer(self, connection: Connection, messages: Sequence[Incoming]) -> list[Recorded]:
        """Handle the messages in order and record their answers in the outbox, all in one transaction.

        Errors for which the transaction is to be tried again (`is_transient`) pass through. So does a broken
        constraint that was deferred to the commit, unless there is one message only: give them singly then.
        """
        async with connection.transaction():
            batch = self._read(messages)
            claims = [Claim(request, handler.forward_action) for request, handler in batch.requests.values()]
            memory = await self._ledger.load(connection, claims)
            self._probe("loaded")
            savepoint = self._ledger.savepoint(connection, alone=len(messages) == 1)
            for place, (request, handler) in batch.requests.items():
                batch.answers[place] = await self._one(savepoint, request, handler, memory, batch)
            self._probe("handled")
            outgoing = self._outgoing(batch, memory.now)
            async with connection.pipeline():
                await self._ledger.save(connection, memory, batch.dead)
                recorded = await self._outbox.enqueue(connection, outgoing, wake=False)
        self._probe("committed")
        return recorded

    def _read(self, messages: Sequence[Incoming]) -> _Batch:
        batch = _Batch(messages)
        for place, message in enumerate(messages):
            try:
                request = read(message, self._namespace)
                batch.requests[place] = request, self._handlers.find(request)
            except Undecodable as error:
                batch.answers[place] = self._bury(batch, message, "undecodable", str(error))
        return batch

    async def _one(
        self, savepoint: Savepoint, request: Request, handler: Handler, memory: Memory, batch: _Batch
    ) -> Answer:
        known = memory.keys.get(request.forward_key)
        if known is not None and known.action != handler.forward_action:
            mixed = f"the key {request.forward_key} belongs to {known.action}; {request.subject} came with it"
            return self._bury(batch, request.message, "undecodable", mixed)
        if answer := answer_from_memory(request, memory):
            return answer
        try:
            answer = await handle(savepoint, handler, request, self._writer.check)
        except Undecodable as error:
            answer = self._bury(batch, request.message, "undecodable", str(error))
        except AnswerTooLarge as error:
            answer = self._bury(batch, request.message, "too_large", str(error))
        settle(request, memory, answer)
        return answer

    def _bury(self, batch: _Batch, message: Incoming, code: str, reason: str) -> Answer:
        _LOG.error(
            "%s: a message on %s goes to the dead letters: %s", self._writer.name, message.subject, reason
        )
        batch.dead.append(DeadLetter(message, reason))
        return refusal(Outcome.FAILED, code, reason[:LONGEST_TEXT])

    def _outgoing(self, batch: _Batch, now: datetime) -> list[Outgoing]:
        replies: list[Outgoing] = []
        for place, message in enumerate(batch.messages):
            known = batch.requests.get(place)
            if known is not None or correlated(message, self._namespace):
                replies.append(self._reply(message, known[1] if known else None, batch.answers[place], now))
        return [*replies, *(self._writer.dead_letter(each.message, each.reason) for each in batch.dead)]

    def _reply(self, message: Incoming, handler: Handler | None, answer: Answer, now: datetime) -> Outgoing:
        subject = subject_of(message, self._namespace)
        subjects = wire.reply_subjects(subject, handler.reply_subject if handler else "")
        return self._writer.reply(message, answer, subjects, now)
