"""A batch of messages, commands and events, handled in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from psycopg import IntegrityError

from amends.domain import wire
from amends.domain.wire import Outcome
from amends.infrastructure.ports import Incoming, Outgoing
from amends.infrastructure.postgres.outbox import Recorded
from amends.participant.answers import Writer
from amends.participant.errors import AnswerTooLarge, Undecodable
from amends.participant.handlers import Handler, Handlers
from amends.participant.handling import LONGEST_TEXT, handle
from amends.participant.memory import Answer, Memory, Told
from amends.participant.ports import Connection, Ledger, Outbox, Savepoint, Unguarded
from amends.participant.promises import answer_from_memory, refusal, settle, stored
from amends.participant.reacting import Work, is_event, read_event
from amends.participant.reactions import Reactions
from amends.participant.requests import Claim, DeadLetter, Request, correlated, read, subject_of

_LOG: Final = logging.getLogger("amends.participant")
_DELIVERIES: Final = 10
"""How often a reaction is tried before its event is a dead letter."""
_GUARDED: Final = 1000
"""For how many messages handlers have savepoints after one would have needed its own."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a batch is answered by, as it is in the outbox; what is `postponed` is not to be acknowledged yet."""

    recorded: list[Recorded] = field(default_factory=list[Recorded])
    postponed: list[Incoming] = field(default_factory=list[Incoming])


@dataclass(slots=True)
class _Batch:
    """What came, by its place in the batch, and what comes of it. Dead letters may be answered as well."""

    messages: Sequence[Incoming]
    requests: dict[int, tuple[Request, Handler]] = field(default_factory=dict[int, tuple[Request, Handler]])
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    works: dict[int, list[Work]] = field(default_factory=dict[int, list[Work]])
    told: list[tuple[Work, Told]] = field(default_factory=list[tuple[Work, Told]])
    dead: list[DeadLetter] = field(default_factory=list[DeadLetter])
    postponed: list[Incoming] = field(default_factory=list[Incoming])

    @property
    def claims(self) -> list[Claim]:
        """The rows that it is about."""
        asked = [Claim(request, handler.forward_action) for request, handler in self.requests.values()]
        heard = (work for works in self.works.values() for work in works)
        return asked + [Claim(work.request, work.reaction.forward_action) for work in heard]


class Desk:
    """Takes batches of messages and keeps the promises about each, on the connection that it is given."""

    def __init__(
        self,
        writer: Writer,
        handlers: Handlers,
        ledger: Ledger,
        outbox: Outbox,
        probe: Callable[[str], None] = lambda _: None,
        reactions: Reactions | None = None,
    ) -> None:
        self._reactions = reactions or Reactions()
        self._writer = writer
        self._namespace = writer.namespace
        self._handlers = handlers
        self._ledger = ledger
        self._outbox = outbox
        self._probe = probe
        self._guarded = 0

    async def answer(self, connection: Connection, messages: Sequence[Incoming]) -> Answered:
        """Handle the messages in order and record their answers in the outbox, all in one transaction.

        Handlers run in savepoints of their own only where one failed lately that had done something: then the
        transaction is begun again with them. Errors for which it is to be tried again (`is_transient`) pass through.
        So does a broken constraint that was deferred to the commit, unless there is one message only: give them
        singly then.
        """
        guarded, self._guarded = self._guarded > 0, max(self._guarded - len(messages), 0)
        try:
            return await self._answer(connection, messages, guarded=guarded)
        except (Unguarded, IntegrityError) as error:
            if guarded or (isinstance(error, IntegrityError) and len(messages) > 1):
                raise
            self._guarded = _GUARDED
            return await self._answer(connection, messages, guarded=True)

    async def _answer(
        self, connection: Connection, messages: Sequence[Incoming], *, guarded: bool
    ) -> Answered:
        async with connection.transaction():
            batch = self._read(messages)
            memory = await self._ledger.load(connection, batch.claims)
            self._probe("loaded")
            savepoint = self._ledger.savepoint(connection, alone=len(messages) == 1, guarded=guarded)
            for place in range(len(messages)):
                if place in batch.requests:
                    request, handler = batch.requests[place]
                    batch.answers[place] = await self._one(savepoint, request, handler, memory, batch)
                for work in batch.works.get(place, ()):
                    await self._react(savepoint, work, memory, batch)
            self._probe("handled")
            outgoing = self._outgoing(batch, memory.now)
            async with connection.pipeline():
                await self._ledger.save(connection, memory, batch.dead)
                recorded = await self._outbox.enqueue(connection, outgoing, wake=False)
        self._probe("committed")
        return Answered(recorded, batch.postponed)

    def _read(self, messages: Sequence[Incoming]) -> _Batch:
        batch = _Batch(messages)
        for place, message in enumerate(messages):
            try:
                if is_event(message, self._namespace):
                    batch.works[place] = read_event(
                        message, self._namespace, self._writer.name, self._reactions
                    )
                    continue
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

    async def _react(self, savepoint: Savepoint, work: Work, memory: Memory, batch: _Batch) -> None:
        request, reaction = work.request, work.reaction
        if work.again:
            key = memory.keys.get(request.forward_key)
            answer = stored(key, request.direction) if key else None
        else:
            answer = answer_from_memory(request, memory)
            if answer is None:
                answer = await self._reacted(savepoint, work, memory, batch)
            elif answer.outcome is Outcome.FAILED:
                self._bury(batch, request.message, "forgotten", answer.body.decode())
                return
        try:
            told = reaction.told(answer, work.key) if answer else None
        except ValueError as error:  # the key is none for the type that is to be made of it
            self._bury(batch, request.message, "untold", f"what {reaction.name} did cannot be told: {error}")
            return
        if told is not None:
            batch.told.append((work, told))

    async def _reacted(
        self, savepoint: Savepoint, work: Work, memory: Memory, batch: _Batch
    ) -> Answer | None:
        """What the handler came to; None where that is nothing definite."""
        message = work.request.message
        try:
            answer = await handle(savepoint, work.reaction, work.request, self._writer.check)
        except (Undecodable, AnswerTooLarge) as error:
            self._bury(batch, message, "undecodable", str(error))
            return None
        # Nobody waits for an answer, and an undoing is not refused: it is tried again.
        refused = answer.outcome is Outcome.REJECTED and work.reaction.undoes is not None
        if answer.outcome is Outcome.FAILED or refused:
            if message.deliveries >= _DELIVERIES:
                reason = f"{work.reaction.name} failed {message.deliveries} times: {answer.body.decode()}"
                self._bury(batch, message, "failed", reason)
            else:
                batch.postponed.append(message)
            return None
        settle(work.request, memory, answer)
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
            if place in batch.works:
                continue
            answer, known = batch.answers[place], batch.requests.get(place)
            if known is not None:
                subjects = wire.reply_subjects(known[0].subject, known[1].reply_subject)
                replies.append(self._writer.reply(message, answer, subjects, now))
            elif correlated(message, self._namespace):
                subjects = wire.reply_subjects(subject_of(message, self._namespace), "")
                replies.append(self._writer.reply(message, answer, subjects, now))
        events = (
            self._writer.event(
                work.request.message,
                work.request.forward_key,
                work.key,
                told,
                now,
                again=work.request.command_id if work.again else "",
            )
            for work, told in batch.told
        )
        return [
            *replies,
            *events,
            *(self._writer.dead_letter(each.message, each.reason) for each in batch.dead),
        ]
