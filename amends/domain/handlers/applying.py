"""From what a handler yields to what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from pydantic_core import to_json

from amends.domain import events as e
from amends.domain.correlation import LearntKey
from amends.domain.definition import AnyCommand, payload
from amends.domain.handlers import actions as a
from amends.domain.handlers.definition import ManagerDefinition, recorded_retry
from amends.domain.handlers.errors import BadAction
from amends.domain.identity import published_id
from amends.domain.planning import pivot_passed, undo
from amends.domain.turn import Turn
from amends.domain.wire import MAX_MESSAGE


def apply(turn: Turn, manager: ManagerDefinition, decided: Iterable[object]) -> None:
    """Record what a handler decided, in its order. Raises `BadAction`, and `BadCommand` for one too large."""
    over = False
    for action in decided:
        if over:
            raise BadAction(
                f"{_where(manager)}: expected complete() or compensate() to come last, got {action!r}"
            )
        record = _RECORD.get(type(action))
        if record is None:
            raise BadAction(
                f"{_where(manager)}: expected handlers to yield send(...), publish(...) and the like, got {action!r}"
            )
        record(turn, manager, action)
        over = isinstance(action, (a.Complete, a.Compensate))


def _send(turn: Turn, manager: ManagerDefinition, send: a.Send) -> None:
    sends = turn.state.handlers.sends
    action = send.command.subject.partition(".")[2]
    name = send.name or f"{action}#{len(sends) + 1}"
    if any(each.step == name for each in sends):
        raise BadAction(
            f"{_where(manager)}: expected each send to have a name of its own, got a second {name!r}; "
            "leave name= out to have them counted"
        )
    if send.pivot and turn.definition.pivot is not None:
        raise BadAction(f"{_where(manager)}: expected at most one pivot, got a second, {name!r}")
    undo_command = send.compensate
    if undo_command is not None and turn.definition.pivot is not None:
        raise BadAction(
            f"{_where(manager)}: {name!r} comes after the pivot, so it is never compensated; take compensate= away"
        )
    turn.record(
        e.SendRequested,
        step=name,
        subject=send.command.subject,
        payload=_payload(manager, send.command, name),
        timeout=send.timeout,
        retry=recorded_retry(send.retry),
        pivot=send.pivot,
        undo_subject=undo_command.subject if undo_command else "",
        undo_payload=_payload(manager, undo_command, name) if undo_command else {},
    )
    turn.replan()


def _payload(manager: ManagerDefinition, command: AnyCommand, name: str) -> e.JsonObject:
    kind = type(command)
    if manager.sends.get(kind.subject) is not kind:
        raise BadAction(
            f"{_where(manager)}: expected one of the commands that it declares "
            f"({', '.join(each.__name__ for each in manager.sends.values())}), got {kind.__name__}; "
            f"name it in sends=, so that its answers are listened to"
        )
    return payload(command, f"{_where(manager)}, {name!r}")


def _publish(turn: Turn, manager: ManagerDefinition, publish: a.Publish) -> None:
    kind = type(publish.event)
    if manager.publishes.get(kind.subject) is not kind:
        raise BadAction(
            f"{_where(manager)}: expected one of the events that it declares "
            f"({', '.join(each.__name__ for each in manager.publishes.values())}), got {kind.__name__}; "
            "name it in publishes="
        )
    body: e.JsonObject = publish.event.model_dump(mode="json")
    if (size := len(to_json(body))) > MAX_MESSAGE:
        raise BadAction(
            f"{_where(manager)}: expected an event of at most {MAX_MESSAGE} bytes as JSON, got {size}"
        )
    ordinal = turn.state.handlers.published + 1
    turn.record(
        e.EventPublished, message_id=published_id(turn.state.id, ordinal), subject=kind.subject, event=body
    )


def _timeout(turn: Turn, manager: ManagerDefinition, timeout: a.RequestTimeout) -> None:
    if timeout.name not in manager.on_timeout:
        raise BadAction(
            f"{_where(manager)}: expected the name of a timeout that it handles "
            f"({', '.join(manager.on_timeout) or 'there is none'}), got {timeout.name!r}; "
            f"write a handler with @on_timeout({timeout.name!r})"
        )
    turn.record(e.TimeoutRequested, name=timeout.name, due=turn.now + timeout.after)


def _cancel_timeout(turn: Turn, _: ManagerDefinition, cancel: a.CancelTimeout) -> None:
    if cancel.name in turn.state.handlers.timeouts:
        turn.record(e.TimeoutCancelled, name=cancel.name)


def _complete(turn: Turn, _: ManagerDefinition, __: a.Complete) -> None:
    turn.record(e.CompletionRequested)
    turn.replan()


def _compensate(turn: Turn, manager: ManagerDefinition, compensate: a.Compensate) -> None:
    if pivot_passed(turn):
        raise BadAction(f"{_where(manager)}: the pivot is done, so there is no way back: {compensate.reason}")
    undo(turn, compensate.reason)


def _also_known_as(turn: Turn, manager: ManagerDefinition, known: a.AlsoKnownAs) -> None:
    names = sorted({each.known_as for each in manager.listens if each.known_as})
    if known.name not in names:
        raise BadAction(
            f"{_where(manager)}: expected a further key by which it listens ({', '.join(names) or 'there is none'}), "
            f"got {known.name!r}; name it with @on(..., known_as={known.name!r})"
        )
    key = (known.name, known.value)
    if key in turn.state.handlers.keys or key in turn.state.handlers.clashes:
        return
    refused = LearntKey(manager.name, *key) in turn.refused
    turn.record(e.KeyClashed if refused else e.KeyLearnt, name=known.name, value=known.value)


def _where(manager: ManagerDefinition) -> str:
    return f"process manager {manager.name!r}"


_RECORD: Final[dict[type[object], Callable[[Turn, ManagerDefinition, Any], None]]] = {
    a.Send: _send,
    a.Publish: _publish,
    a.RequestTimeout: _timeout,
    a.CancelTimeout: _cancel_timeout,
    a.Complete: _complete,
    a.Compensate: _compensate,
    a.AlsoKnownAs: _also_known_as,
}
