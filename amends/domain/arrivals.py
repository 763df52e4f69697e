"""An event that came to a saga: kept until a step consumes it, or passed over."""

from __future__ import annotations

from amends.domain import events as e
from amends.domain.definition import InvalidMessage, read
from amends.domain.inputs import Arrival
from amends.domain.state import Kept, Status
from amends.domain.turn import Turn
from amends.domain.wire import Outcome


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
    reason = _nobody_cares(turn, arrival.subject)
    if reason:
        turn.record(e.EventPassedOver, subject=arrival.subject, reason=reason)
    else:
        turn.record(e.EventReceived, subject=arrival.subject, event=body)


def heard(turn: Turn, step: str) -> tuple[Kept, Outcome] | None:
    """The first of the kept events that this waiting step consumes, and what it means to it."""
    wait = turn.definition.step(step).wait
    assert wait is not None
    view = turn.definition.view(turn.state)
    for kept in turn.state.kept:
        meaning = wait.hears(view, kept.subject, kept.event)
        if meaning is not None:
            return kept, meaning
    return None


def _nobody_cares(turn: Turn, subject: str) -> str:
    """Why the event can mean nothing to this saga any more; empty where it can."""
    state = turn.state
    if state.status is not Status.RUNNING:
        return f"the saga is {state.status}"
    waits = [s for s in turn.definition.steps if s.wait is not None and subject in s.wait.subjects]
    if all(state.step(step.name).decided for step in waits):
        return "no step waits for it any more"
    return ""
