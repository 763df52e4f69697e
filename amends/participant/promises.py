"""The promises of a keeping participant, as functions of what it remembers. No input, no output, no clock."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic_core import to_jsonable_python

from amends.domain.wire import Direction, Outcome
from amends.participant.memory import Answer, Key, Memory
from amends.participant.requests import Request

NOTHING_UNDONE = b"{}"
"""The body of a compensation's success when there was nothing to undo, and so no reply to tell."""


def answer_from_memory(request: Request, memory: Memory) -> Answer | None:
    """The answer that is certain without asking the handler; None when the handler must run.

    Leaves tombstones in `memory` where a compensation or a closing is what answers.
    """
    if failed := memory.failed.get(request.command_id):
        return Answer(Outcome.FAILED, failed)
    if request.direction is Direction.COMPENSATE and (refused := memory.refused.get(request.key)):
        return Answer(Outcome.REJECTED, refused)
    key = memory.keys.get(request.forward_key)
    if key is None or (key.fresh and key.outcome is None and _before_horizon(request, memory)):
        return _forgotten(request, memory.horizon)
    match request.direction:
        case Direction.FORWARD:
            return _definite(key) or _expired(request, memory)
        case Direction.CLOSE:
            return _close(key)
        case Direction.COMPENSATE:
            return _compensate(key)


def stored(key: Key, direction: Direction) -> Answer | None:
    """The answer that the row alone gives in this direction; None: there is none yet."""
    if direction is not Direction.COMPENSATE:
        return _definite(key)
    if key.compensation_answer is not None:
        return Answer(Outcome.SUCCEEDED, key.compensation_answer)
    return Answer(Outcome.SUCCEEDED, NOTHING_UNDONE) if key.outcome is Outcome.REJECTED else None


def settle(request: Request, memory: Memory, answer: Answer) -> None:
    """Remember what the handler's run came to."""
    key = memory.keys[request.forward_key]
    if answer.outcome is Outcome.FAILED:
        memory.fail(request.command_id, request.forward_key, answer.body)
    elif request.direction is not Direction.COMPENSATE:
        key.decide(answer)
    elif answer.outcome is Outcome.REJECTED:
        memory.refuse(request.key, request.forward_key, answer.body)
    else:
        key.compensate(answer)


def refusal(
    outcome: Outcome, code: str, reason: str, details: Any = None, retry_after: timedelta | None = None
) -> Answer:
    """An answer other than success, in the form that it travels in; `retry_after` becomes seconds."""
    body = {"code": code, "reason": reason, "details": to_jsonable_python(details, fallback=str)}
    if retry_after is not None:
        body["retry_after"] = retry_after.total_seconds()
    return Answer(outcome, json.dumps(body, allow_nan=False).encode())


def _before_horizon(request: Request, memory: Memory) -> bool:
    return request.opened < memory.now - memory.horizon


def _forgotten(request: Request, horizon: timedelta) -> Answer:
    return refusal(
        Outcome.FAILED,
        "forgotten",
        f"the key {request.forward_key} is not known here, and may have been opened longer ago than the "
        f"{horizon} for which keys are kept; find out by hand whether it took effect, then settle the step",
    )


def _definite(key: Key) -> Answer | None:
    if key.outcome is None or key.answer is None:
        return None
    return Answer(key.outcome, key.answer)


def _expired(request: Request, memory: Memory) -> Answer | None:
    if request.expires is None or request.expires > memory.now:
        return None
    answer = refusal(
        Outcome.FAILED,
        "expired",
        f"the command expired at {request.expires}; it is {memory.now} in the database",
    )
    memory.fail(request.command_id, request.forward_key, answer.body)
    return answer


def _close(key: Key) -> Answer:
    if key.outcome is None:
        key.decide(
            refusal(Outcome.REJECTED, "closed", "the key was closed before it took effect; now it never can")
        )
    answer = _definite(key)
    assert answer is not None
    return answer


def _compensate(key: Key) -> Answer | None:
    if key.compensation_answer is not None:
        return Answer(Outcome.SUCCEEDED, key.compensation_answer)
    if key.outcome is Outcome.SUCCEEDED:
        return None
    if key.outcome is None:
        key.decide(
            refusal(
                Outcome.REJECTED,
                "compensated",
                "the key was compensated before it took effect; now it never can",
            )
        )
    return Answer(Outcome.SUCCEEDED, NOTHING_UNDONE)
