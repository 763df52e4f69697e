"""One run of a handler, in a savepoint that everything but success rolls back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import ValidationError

from amends.domain.messages import Message
from amends.domain.wire import Outcome
from amends.participant.errors import AnswerTooLarge, Failed, HandlerBroken, Rejected, Undecodable
from amends.participant.handlers import Handler
from amends.participant.memory import Answer
from amends.participant.ports import Savepoint
from amends.participant.promises import refusal
from amends.participant.reactions import Reaction
from amends.participant.requests import Request

_LOG: Final = logging.getLogger("amends.participant")
LONGEST_TEXT: Final = 2000

M = TypeVar("M", bound=Message)


async def handle(
    savepoint: Savepoint, handler: Handler | Reaction, request: Request, check: Callable[[Answer], None]
) -> Answer:
    """Run the handler and say what came of it; `check` raises `AnswerTooLarge` where it cannot be sent.

    Errors for which the whole transaction must be tried again pass through. Raises `Undecodable` for a body
    that is not what it handles.
    """
    message = decode(handler.message, request.message.body)
    await savepoint.begin()
    try:
        reply = await handler.run(message, savepoint.tx)
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


def decode(kind: type[M], body: bytes) -> M:
    """The message in this body. Raises `Undecodable`."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
            for each in error.errors(include_url=False)
        )
        raise Undecodable(
            f"expected the JSON of {kind.__name__} on {kind.subject}; {problems}"[:LONGEST_TEXT]
        ) from None


def _ensure_intact(savepoint: Savepoint, handler: Handler | Reaction) -> None:
    if not savepoint.is_intact():
        raise HandlerBroken(
            f"{handler.name} caught a database error and went on, but its transaction was aborted by it; "
            "run a statement that may fail inside `async with tx.transaction():`"
        )


def _refused(handler: Handler | Reaction, request: Request, error: Exception) -> Answer:
    try:
        match error:
            case Rejected():
                return Answer(Outcome.REJECTED, handler.rejected_body(error))
            case Failed():
                return refusal(Outcome.FAILED, error.code, error.reason, error.details, error.retry_after)
            case _:
                pass
    except (ValueError, HandlerBroken) as unsendable:
        unsendable.__cause__ = error
        error = unsendable
    _LOG.error(
        "%s broke on message %s (saga %s)",
        handler.name,
        request.command_id,
        request.message.headers.get("Amends-Saga-Id", "unknown"),
        exc_info=error,
    )
    details = {"type": type(error).__qualname__, "text": str(error)[:LONGEST_TEXT], "handler": handler.name}
    return refusal(Outcome.FAILED, "error", f"the handler broke: {type(error).__qualname__}", details)
