"""The decider: `decide(definition, state, input, now) -> events`. Every rule of a saga's life stands here.

The rules, and the words, are those of docs/semantics.md. After each recorded fact `proceed` plans what can be
done next, until the saga waits for an answer or a time, or is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from amends.domain import events as e
from amends.domain.actions import on_action
from amends.domain.arrivals import on_arrival
from amends.domain.correlation import LearntKey
from amends.domain.errors import AmendsError
from amends.domain.handlers import calling
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.holding import on_admit
from amends.domain.inputs import Input, Release
from amends.domain.planning import again, attempt_failed, deadline_passed, proceed, wait_over
from amends.domain.replies import on_reply
from amends.domain.state import SagaState
from amends.domain.told import Admit, Arrival, Reply, Start, Tick
from amends.domain.turn import Turn


class UnknownSaga(AmendsError):
    """A message is for a saga that never started."""


def decide(
    definition: AnyDefinition, saga_id: UUID, state: SagaState | None, given: Input, now: datetime, by: str
) -> Sequence[e.SagaEvent]:
    """What happens because of an input: the events to append, none where it has been applied before.

    `now` is the database's clock, `by` who decides. Raises `Uncorrelated` or `InvalidMessage` for a reply
    that is not one to this saga, `ActionRefused` for an impossible action, `UnknownSaga` where nothing but a
    start was possible, and whatever a step function raises.
    """
    return take_turn(definition, saga_id, state, given, now, by).events


def take_turn(
    definition: AnyDefinition | None,
    saga_id: UUID,
    state: SagaState | None,
    given: Input,
    now: datetime,
    by: str,
    refused: Collection[LearntKey] = (),
    limited: Collection[str] = (),
) -> Turn:
    """The same decision with the state after it, for who would otherwise fold the events a second time.

    `refused` are keys that belong to other sagas, so that this one cannot learn them; `limited` the services whose
    commands are held until they are admitted. Without a definition only an admission, or an action that needs none,
    can be decided; the others raise `VersionNotHeld`.
    """
    turn = Turn(definition, saga_id, state, given, now, by)
    turn.refused, turn.limited = refused, limited
    if isinstance(given, Start):
        _on_start(turn, state, given)
    elif state is None:
        raise UnknownSaga(f"expected a saga {saga_id} to exist; none has started under this id")
    elif isinstance(given, Reply):
        on_reply(turn, given)
    elif isinstance(given, Arrival):
        _on_arrival(turn, given)
    elif isinstance(given, Tick):
        _on_tick(turn, given)
    elif isinstance(given, Admit):
        on_admit(turn, given)
    else:
        on_action(turn, given)
    if turn.manager is not None:
        calling.on_outcomes(turn, turn.manager)
    # What is held for a saga that leaves quarantine must be told first.
    if turn.events and not isinstance(given, Release | Admit):
        proceed(turn)
    return turn


def _on_start(turn: Turn, state: SagaState | None, start: Start) -> None:
    if state is None:
        definition = turn.definition
        turn.record(
            e.SagaStarted,
            saga=definition.name,
            definition=definition.version,
            namespace=start.namespace,
            key=start.key,
            subject=start.subject,
            start=start.payload,
            deadline=turn.now + definition.deadline if definition.deadline else None,
        )
        if turn.manager is not None:
            calling.on_started(turn, turn.manager, start)
    elif turn.manager is not None:
        calling.on_started_again(turn, turn.manager, start)
    elif start.message_id != state.started_by and start.message_id not in state.refused_starts:
        turn.record(
            e.StartRefused,
            reason=f"expected a new key; {state.saga} {state.key!r} was started by {state.started_by}",
        )


def _on_arrival(turn: Turn, arrival: Arrival) -> None:
    if turn.manager is not None:
        calling.on_arrival(turn, turn.manager, arrival)
    else:
        on_arrival(turn, arrival)


def _on_tick(turn: Turn, tick: Tick) -> None:
    until = min(turn.now, tick.until) if tick.until else turn.now
    while (due := turn.state.wake_up) is not None and due <= until:
        if due == turn.state.deadline_due:
            deadline_passed(turn)
        else:
            _apply_due(turn, due)
        proceed(turn)


def _apply_due(turn: Turn, due: datetime) -> None:
    waiting = next((step for step, wait in turn.state.waits() if wait.due == due), None)
    if waiting is not None:
        wait_over(turn, turn.definition.step(waiting.name))
        return
    item = next((item for item in turn.state.active() if item[2].due == due), None)
    if item is None:
        assert turn.manager is not None
        calling.on_timeout(turn, turn.manager, due)
        return
    known, direction, line = item
    step = turn.definition.step(known.name)
    attempt = line.in_flight
    if attempt is None:
        again(turn, step, direction)
        return
    turn.record(
        e.CommandTimedOut,
        step=known.name,
        direction=direction,
        round=line.rounds[-1].number,
        attempt=attempt.number,
    )
    attempt_failed(turn, step, direction, "no answer", after=None)
