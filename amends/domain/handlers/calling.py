"""When handlers are called, and what is recorded of that: so that replay never calls them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.definition import read
from amends.domain.handlers.actions import Action
from amends.domain.handlers.applying import apply
from amends.domain.handlers.definition import Handle, ManagerDefinition, subject_of_success
from amends.domain.handlers.rejection import Rejection
from amends.domain.messages import Event
from amends.domain.state import SagaState, Status
from amends.domain.told import Arrival, Start
from amends.domain.turn import Turn
from amends.domain.wire import Direction


def on_started(turn: Turn, manager: ManagerDefinition, start: Start) -> None:
    """Tell the handler of the event that started the saga; the event itself is recorded already."""
    event = manager.events[start.subject].model_validate_json(to_json(start.payload))
    _call(turn, manager, manager.on_start[start.subject], start.subject, event)


def on_started_again(turn: Turn, manager: ManagerDefinition, start: Start) -> None:
    """A start event for a saga that exists: an event like any other, unless only starting makes sense of it."""
    state = turn.state
    if start.message_id in state.handlers.handled or start.message_id in state.refused_starts:
        return
    if start.subject == state.subject and start.subject not in manager.on_event:
        turn.record(
            e.StartRefused,
            reason=f"expected a new key; {state.saga} {state.key!r} was started by {state.started_by}",
        )
        return
    event = manager.events[start.subject].model_validate_json(to_json(start.payload))
    _tell(turn, manager, start.subject, event)


def on_arrival(turn: Turn, manager: ManagerDefinition, arrival: Arrival) -> None:
    """Tell the handler of an event, once. Raises `InvalidMessage`."""
    if arrival.message_id in turn.state.handlers.handled:
        return
    if arrival.subject not in manager.on_event:
        reason = f"{manager.name}@{manager.version} does not listen to it"
        turn.record(e.EventPassedOver, subject=arrival.subject, reason=reason)
        return
    event = read(manager.events[arrival.subject], arrival.body)
    _tell(turn, manager, arrival.subject, event)


def on_outcomes(turn: Turn, manager: ManagerDefinition) -> None:
    """Tell handlers of the answers to what was sent, as far as they were recorded in this turn; an operator's word
    counts as one.
    """
    for event in list(turn.events):
        if not _decides(turn.state):
            return
        if isinstance(event, e.CommandSucceeded | e.StepSettledByHand):
            _on_success(turn, manager, event)
        elif isinstance(event, e.StepGivenUp):
            _on_given_up(turn, manager, event)


def on_timeout(turn: Turn, manager: ManagerDefinition, due: datetime) -> None:
    """Tell the handler of the timeout that is due."""
    name = min(name for name, when in turn.state.handlers.timeouts.items() if when == due)
    decided, changed = _decided(turn, manager, manager.on_timeout[name])
    turn.record(e.TimeoutFired, name=name, changed=changed)
    apply(turn, manager, decided)


def _tell(turn: Turn, manager: ManagerDefinition, subject: str, event: Event) -> None:
    if not _decides(turn.state):
        turn.record(e.EventPassedOver, subject=subject, reason=_why_not(turn.state))
        return
    handle = manager.on_event.get(subject) or manager.on_start[subject]
    _call(turn, manager, handle, subject, event, body=event.model_dump(mode="json"))


def _on_success(
    turn: Turn, manager: ManagerDefinition, event: e.CommandSucceeded | e.StepSettledByHand
) -> None:
    known = turn.state.step(event.step)
    if event.direction is Direction.COMPENSATE or not known.succeeded:
        return
    command = manager.sends[known.forward.rounds[-1].subject]
    subject = subject_of_success(command)
    handle = manager.on_event.get(subject)
    if handle is not None:
        reply = command.reply_type().model_validate_json(to_json(event.reply))
        _call(turn, manager, handle, subject, reply)


def _on_given_up(turn: Turn, manager: ManagerDefinition, event: e.StepGivenUp) -> None:
    known = turn.state.step(event.step)
    handle = manager.on_rejected.get(known.forward.rounds[-1].subject)
    if handle is not None and known.rejected:
        command = turn.definition.step(event.step).forward.build(None)
        assert command is not None
        _call(turn, manager, handle, command.subject, Rejection(command, known.forward.error))


def _call(
    turn: Turn,
    manager: ManagerDefinition,
    handle: Handle,
    subject: str,
    told: object,
    body: e.JsonObject | None = None,
) -> None:
    decided, changed = _decided(turn, manager, handle, told)
    turn.record(e.EventHandled, subject=subject, event=body or {}, changed=changed)
    apply(turn, manager, decided)


def _decided(
    turn: Turn, manager: ManagerDefinition, handle: Handle, *told: object
) -> tuple[list[Action], e.JsonObject]:
    """What the handler yields, and the fields of the state that it changed."""
    view = manager.view(turn.state)
    before = _dump(view)
    decided = list(handle(view, *told) or ())
    after = _dump(view)
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    return decided, changed


def _decides(state: SagaState) -> bool:
    return state.status is Status.RUNNING and not state.handlers.completing


def _why_not(state: SagaState) -> str:
    return "it has nothing more to decide" if state.status is Status.RUNNING else f"it is {state.status}"


def _dump(view: Any) -> e.JsonObject:
    dumped: e.JsonObject = view.state.model_dump(mode="json")
    return dumped
