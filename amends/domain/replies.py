"""What an answer means: definite or technical, in time, late, repeated, or a contradiction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pydantic_core import PydanticSerializationError, to_json

from amends.domain import events as e
from amends.domain.definition import Definition, InvalidMessage, read
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.planning import attempt_failed, attempt_rejected
from amends.domain.state import CommandRef, Status
from amends.domain.told import Reply
from amends.domain.turn import Turn
from amends.domain.wire import ATTEMPT, DIRECTION, FORGOTTEN, IDEMPOTENCY_KEY, ROUND, STEP, Direction, Outcome


class Uncorrelated(AmendsError):
    """A reply names no command of its saga, or says of it what is not so."""


def on_reply(turn: Turn, reply: Reply) -> None:
    """Record what the reply adds to what is known, and what follows from it; nothing for a repeat."""
    ref = turn.state.find(reply.command_id)
    if ref is None:
        raise Uncorrelated(
            f"expected Amends-Causation-Id to name a command that saga {turn.state.id} sent; "
            f"got {reply.command_id}, which it did not send"
        )
    _check_claims(ref, reply)
    _check_text(reply)
    answer(turn, ref, reply)


def answer(turn: Turn, ref: CommandRef, reply: Reply, *, by_event: bool = False) -> None:
    """Take the reply for the answer to this attempt; nothing for a repeat.

    `by_event`: it is an event that came for the first time, so it repeats no answer that this attempt had before.
    """
    if _is_doubtful(turn, ref, reply):
        reply = replace(reply, outcome=Outcome.FAILED)
    if reply.outcome in ref.attempt.outcomes and not (by_event and _did_it_again(turn, ref, reply)):
        return
    if reply.outcome is Outcome.FAILED:
        _on_failed(turn, ref, reply)
    else:
        _on_definite(turn, ref, reply)


def _is_doubtful(turn: Turn, ref: CommandRef, reply: Reply) -> bool:
    """A foreign service's no, while another attempt is unanswered, says nothing of that one.

    Nor does it when it comes once more, and the other attempt is answered by then: this one was counted as failed.
    """
    if reply.outcome is not Outcome.REJECTED:
        return False
    foreign = turn.definition.step(ref.step.name).asking(ref.direction).foreign
    others = [each for each in ref.round.attempts if each.left and each.number != ref.attempt.number]
    was_doubtful = bool(others) and Outcome.FAILED in ref.attempt.outcomes
    return foreign is not None and (was_doubtful or not all(attempt.answered for attempt in others))


def _check_claims(ref: CommandRef, reply: Reply) -> None:
    for header, came in reply.claims:
        recorded = _RECORDED[header](ref)
        if recorded != came and not (header == STEP and came in ref.step.former):
            raise Uncorrelated(
                f"expected {header} of the reply to command {reply.command_id} to be {recorded!r}, "
                f"as it was on the command; got {came!r}"
            )


_RECORDED: Final[Mapping[str, Callable[[CommandRef], str]]] = {
    STEP: lambda ref: ref.step.name,
    DIRECTION: lambda ref: str(ref.direction),
    ROUND: lambda ref: str(ref.round.number),
    ATTEMPT: lambda ref: str(ref.attempt.number),
    IDEMPOTENCY_KEY: lambda ref: str(ref.round.key),
}


def _check_text(reply: Reply) -> None:
    if not (reply.code or reply.reason or reply.details):
        return
    try:
        to_json((reply.code, reply.reason, reply.details))
    except PydanticSerializationError as error:
        raise InvalidMessage(
            f"expected code, reason and details of the reply to command {reply.command_id} to be text that "
            f"can be stored; {error}"
        ) from None


def _on_failed(turn: Turn, ref: CommandRef, reply: Reply) -> None:
    line = ref.step.line(ref.direction)
    awaited = line.in_flight is ref.attempt and turn.state.is_active(ref.step.name, ref.direction)
    _record(turn, e.CommandFailed, ref, **_refusal(reply))
    if awaited and not turn.state.suspended:
        attempt_failed(
            turn,
            turn.definition.step(ref.step.name),
            ref.direction,
            reply.reason or reply.code or "failed",
            after=reply.retry_after,
            hopeless=reply.code == FORGOTTEN,
        )


def _on_definite(turn: Turn, ref: CommandRef, reply: Reply) -> None:
    said = ref.round.answer
    if said is None and ref.direction is Direction.CLOSE:
        said = ref.step.forward.rounds[-1].answer
    if said is reply.outcome:
        if _did_it_again(turn, ref, reply):
            _succeeded(turn, ref, reply)
        return
    if said is not None:
        _contradiction(turn, ref, said, reply.outcome)
    elif reply.outcome is Outcome.SUCCEEDED:
        _succeeded(turn, ref, reply)
    else:
        _rejected(turn, ref, reply)


def _did_it_again(turn: Turn, ref: CommandRef, reply: Reply) -> bool:
    """A foreign service does it for every command that reaches it, one that comes late or twice among them: any
    success after its compensation was sent may be another one.
    """
    foreign = turn.definition.step(ref.step.name).asking(ref.direction).foreign
    sent = ref.direction is Direction.FORWARD and bool(ref.step.compensation.rounds)
    return foreign is not None and sent and reply.outcome is Outcome.SUCCEEDED


def _succeeded(turn: Turn, ref: CommandRef, reply: Reply) -> None:
    _record(turn, e.CommandSucceeded, ref, reply=_body(turn.definition, ref, reply))
    _reopen(turn, ref)
    if ref.direction is not Direction.FORWARD:
        return
    if ref.step.by_hand and not ref.step.compensation.rounds:
        _record(turn, e.ContradictionFound, ref, recorded="settled by hand", came=str(reply.outcome))
    elif turn.state.status is Status.FAILED and ref.step.given_up:
        _record(turn, e.ContradictionFound, ref, recorded="given up", came=str(reply.outcome))


def _rejected(turn: Turn, ref: CommandRef, reply: Reply) -> None:
    awaited = turn.state.is_active(ref.step.name, ref.direction) or _decides_forward(turn, ref)
    _record(turn, e.CommandRejected, ref, **_refusal(reply))
    if awaited and not turn.state.suspended:
        step = turn.definition.step(ref.step.name)
        attempt_rejected(turn, step, ref.direction, reply.reason or reply.code, after=reply.retry_after)


def _decides_forward(turn: Turn, ref: CommandRef) -> bool:
    """While the pivot is being closed, its own late answer still decides."""
    open_ = turn.state.status is Status.RUNNING and not ref.step.decided
    return open_ and ref.direction is Direction.FORWARD


def _contradiction(turn: Turn, ref: CommandRef, said: Outcome, came: Outcome) -> None:
    _record(turn, e.ContradictionFound, ref, recorded=str(said), came=str(came))
    _reopen(turn, ref)


def _reopen(turn: Turn, ref: CommandRef) -> None:
    """Back to compensating, where a step took effect after all that was never compensated, and can be.

    A foreign service may have done it after it was compensated, so it is compensated once more.
    """
    if ref.direction is not Direction.FORWARD:
        return
    step = turn.state.step(ref.step.name)
    if not (step.happened_late or step.compensation.rounds):
        return
    definition = turn.definition.step(ref.step.name)
    foreign = definition.forward.foreign is not None
    if definition.compensation is None or not (step.happened_late or foreign):
        return
    reason = f"{step.name}: the service says that it did happen after all"
    if turn.state.status is Status.COMPENSATED:
        if not foreign and (step.compensation.succeeded or step.by_hand):
            return
        turn.record(e.SagaReopened, step=step.name, reason=reason)
    if foreign and turn.state.status is Status.COMPENSATING and step.compensation.rounds:
        turn.record(e.CompensationReopened, step=step.name, reason=reason)


def _refusal(reply: Reply) -> dict[str, object]:
    return {
        "code": reply.code,
        "reason": reply.reason,
        "details": reply.details,
        "retry_after": reply.retry_after,
    }


def _body(definition: Definition, ref: CommandRef, reply: Reply) -> JsonObject:
    undoing = ref.direction is Direction.COMPENSATE
    kind = definition.step(ref.step.name).reply_type(ref.round.subject, undoing=undoing)
    if ref.direction is Direction.COMPENSATE and reply.body.strip() in (b"", b"{}"):
        return {}  # there was nothing to undo, and so nothing to tell of it
    return read(kind, reply.body).model_dump(mode="json")


def _record(turn: Turn, kind: type[e.OfCommand], ref: CommandRef, **fields: object) -> None:
    turn.record(
        kind,
        step=ref.step.name,
        direction=ref.direction,
        round=ref.round.number,
        attempt=ref.attempt.number,
        **fields,
    )
