"""One run of a handler, in a savepoint that everything but success rolls back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from amends.domain.messages import Command
from amends.domain.wire import Outcome
from amends.participant.errors import AnswerTooLarge, Failed, HandlerBroken, Rejected, Undecodable
from amends.participant.handlers import Handler
from amends.participant.memory import Answer
from amends.participant.ports import Savepoint
from amends.participant.promises import refusal
from amends.participant.requests import Request

_LOG: Final = logging.getLogger("amends.participant")
LONGEST_TEXT: Final = 2000


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
        _ensure_intact(savepoint, handler)
        answer = Answer(Outcome.SUCCEEDED, handler.reply_body(reply))
        check(answer)
        await savepoint.keep()
    except Exception as error:
        if savepoint.is_lost(error):
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


def _ensure_intact(savepoint: Savepoint, handler: Handler) -> None:
    if not savepoint.is_intact():
        raise HandlerBroken(
            f"{handler.name} caught a database error and went on, but its transaction was aborted by it; "
            "run a statement that may fail inside `async with tx.transaction():`"
        )


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
