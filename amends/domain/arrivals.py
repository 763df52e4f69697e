"""An event that came to a saga: kept until a step consumes it, or passed over."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.choreography import observing
from amends.domain.definition import InvalidMessage, read
from amends.domain.foreign_replies import on_foreign_answer
from amends.domain.state import Status
from amends.domain.told import Arrival
from amends.domain.turn import Turn


def on_arrival(turn: Turn, arrival: Arrival) -> None:
    """Record the event; what it means to the steps that wait is planned next. Raises `InvalidMessage`."""
    if arrival.message_id in turn.state.handlers.handled:
        return
    listened = turn.definition.hears(arrival.subject)
    if listened is None:
        raise InvalidMessage(
            f"expected an event that {turn.definition.name}@{turn.definition.version} listens to, "
            f"got one on {arrival.subject!r}"
        )
    body = read(listened.event, arrival.body).model_dump(mode="json")
    asked = turn.definition.asks(arrival.subject)
    if asked is not None:
        on_foreign_answer(turn, arrival, body, *asked)
        return
    reason = _nobody_cares(turn, arrival.subject)
    if reason:
        turn.record(e.EventPassedOver, subject=arrival.subject, reason=reason)
    else:
        turn.record(e.EventReceived, subject=arrival.subject, event=body)


def _nobody_cares(turn: Turn, subject: str) -> str:
    """Why the event can mean nothing to this saga any more; empty where it can."""
    if turn.chain is not None:
        return observing.nobody_cares(turn, turn.chain, subject)
    state = turn.state
    if state.status is not Status.RUNNING:
        return f"the saga is {state.status}"
    waits = [s for s in turn.definition.steps if s.wait is not None and subject in s.wait.subjects]
    if all(state.step(step.name).decided for step in waits):
        return "no step waits for it any more"
    return ""
