"""One run of a handler, in a savepoint that everything but success rolls back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from pydantic import ValidationError

from amends.domain.messages import Command
from amends.domain.wire import Outcome
from amends.infrastructure.postgres.link import is_transient
from amends.participant.errors import AnswerTooLarge, Failed, HandlerBroken, Rejected, Undecodable
from amends.participant.handlers import Handler
from amends.participant.memory import Answer
from amends.participant.promises import refusal
from amends.participant.requests import Request

_LOG: Final = logging.getLogger("amends.participant")
LONGEST_TEXT: Final = 2000


class Savepoint:
    """The savepoint of one handler after the other in a batch's transaction.

    A kept one is released with the next one's beginning, which saves a round trip for each handler. `alone`
    tells that there is one handler only in the transaction.
    """

    def __init__(self, tx: AsyncConnection, *, alone: bool) -> None:
        self.tx = tx
        self._alone = alone
        self._kept = False

    async def begin(self) -> None:
        """What comes from here on can be undone."""
        await self.tx.execute(
            "RELEASE amends_handler; SAVEPOINT amends_handler" if self._kept else "SAVEPOINT amends_handler"
        )
        self._kept = False

    async def keep(self) -> None:
        """What was done will be committed."""
        if self._alone:
            # A constraint deferred to the commit is checked now, while it can be laid to the handler.
            await self.tx.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self._kept = True

    async def undo(self) -> None:
        """As though nothing had been done."""
        await self.tx.execute("ROLLBACK TO amends_handler; RELEASE amends_handler")


async def handle(
    savepoint: Savepoint, handler: Handler, request: Request, check: Callable[[Answer], None]
) -> Answer:
    """Run the handler and say what came of it; `check` raises `AnswerTooLarge` where it cannot be sent.

    Errors for which the whole transaction must be tried again pass through. Raises `Undecodable` for a body
    that is not the command.
    """
    command = _decode(handler, request.message.body)
    await savepoint.begin()
    try:
        reply = await handler.run(command, savepoint.tx)
        _ensure_intact(savepoint.tx, handler)
        answer = Answer(Outcome.SUCCEEDED, handler.reply_body(reply))
        check(answer)
        await savepoint.keep()
    except Exception as error:
        if _retried(savepoint.tx, error):
            raise
        await savepoint.undo()
        if isinstance(error, AnswerTooLarge):
            raise
        answer = _refused(handler, request, error)
        check(answer)
    return answer


def _decode(handler: Handler, body: bytes) -> Command:
    try:
        return handler.command.model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
            for each in error.errors(include_url=False)
        )
        raise Undecodable(
            f"expected the JSON of {handler.command.__name__} on {handler.subject}; {problems}"[:LONGEST_TEXT]
        ) from None


def _ensure_intact(tx: AsyncConnection, handler: Handler) -> None:
    if tx.info.transaction_status == TransactionStatus.INERROR:
        raise HandlerBroken(
            f"{handler.name} caught a database error and went on, but its transaction was aborted by it; "
            "run a statement that may fail inside `async with tx.transaction():`"
        )


def _retried(tx: AsyncConnection, error: Exception) -> bool:
    """Whether the batch is tried again: the connection is gone, or the transaction was chosen as a victim.

    Not so for trouble with another database that the handler talks to: that is an outage to be answered.
    """
    if tx.closed or tx.broken:
        return True
    if not is_transient(error):
        return False
    return getattr(error, "sqlstate", "")[:2] == "40" if _usable(tx) else True


def _usable(tx: AsyncConnection) -> bool:
    return tx.info.transaction_status == TransactionStatus.INTRANS


def _refused(handler: Handler, request: Request, error: Exception) -> Answer:
    try:
        match error:
            case Rejected():
                return refusal(Outcome.REJECTED, error.code, error.reason, error.details)
            case Failed():
                return refusal(Outcome.FAILED, error.code, error.reason, error.details, error.retry_after)
            case _:
                pass
    except ValueError as unsendable:
        unsendable.__cause__ = error
        error = unsendable
    _LOG.error(
        "%s broke on command %s (saga %s)",
        handler.name,
        request.command_id,
        request.message.headers.get("Amends-Saga-Id", "unknown"),
        exc_info=error,
    )
    details = {"type": type(error).__qualname__, "text": str(error)[:LONGEST_TEXT], "handler": handler.name}
    return refusal(Outcome.FAILED, "error", f"the handler broke: {type(error).__qualname__}", details)
