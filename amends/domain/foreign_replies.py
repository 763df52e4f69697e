"""An event by which a foreign service answers: found by the saga's key, it is taken for the likeliest attempt's."""

from __future__ import annotations

from dataclasses import replace

from amends.domain import events as e
from amends.domain.definition import StepDefinition
from amends.domain.replies import answer
from amends.domain.state import Attempt, CommandRef, Line
from amends.domain.told import Arrival, Reply
from amends.domain.turn import Turn
from amends.domain.wire import Direction, Outcome


def on_foreign_answer(
    turn: Turn, arrival: Arrival, body: e.JsonObject, step: StepDefinition, direction: Direction
) -> None:
    """Take the event for an answer, where one can be missing; else it is passed over."""
    foreign = step.asking(direction).foreign
    line = turn.state.step(step.name).line(direction)
    meaning = foreign.meaning(arrival.subject) if foreign else None
    if meaning is None or not line.rounds or line.unsent:
        reason = f"{step.name} was not asked for"
        turn.record(e.EventPassedOver, subject=arrival.subject, reason=reason)
        return
    ref = CommandRef(turn.state.step(step.name), direction, line.rounds[-1], _likeliest(line))
    reply = Reply(arrival.message_id, ref.attempt.command_id, meaning, body=arrival.body)
    if meaning is not Outcome.SUCCEEDED:
        reply = replace(reply, code=arrival.subject, details=body)
    before = len(turn.events)
    answer(turn, ref, reply, by_event=True)
    if len(turn.events) == before:
        turn.record(e.EventPassedOver, subject=arrival.subject, reason="it repeats what is known")
    else:
        turn.record(e.EventTakenForAnswer, step=step.name, direction=direction, subject=arrival.subject)


def _likeliest(line: Line) -> Attempt:
    """The attempt that is awaited; else the latest that is unanswered, or the latest."""
    attempts = [each for each in line.rounds[-1].attempts if each.left] or line.rounds[-1].attempts
    unanswered = [attempt for attempt in attempts if not attempt.answered]
    return line.in_flight or (unanswered[-1] if unanswered else attempts[-1])
