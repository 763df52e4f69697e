"""What the handlers of a process manager decide, found by calling them with made-up events."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import suppress
from typing import Final
from uuid import UUID

from pydantic_core import to_json

from amends.domain.decide import take_turn
from amends.domain.handlers.definition import ManagerDefinition
from amends.domain.identity import saga_id
from amends.domain.told import Start
from amends.domain.turn import Turn
from amends.projections.design.conduct import Conduct
from amends.testing.exploring.likeness import likeness
from amends.testing.exploring.moves import Move, Moves
from amends.testing.exploring.samples import choices

_NAMESPACE: Final = "rehearsal"
_ENOUGH: Final = 500
"""States from one start event: handlers that count on are not followed for ever."""


def rehearse(manager: ManagerDefinition) -> Conduct:
    """Call the handlers in every order that answers, events and timeouts can come in.

    A handler that raises is passed over: to find it is the exploration's business. Raises `NoSample`.
    """
    conduct = Conduct(manager.shape())
    moves = Moves(manager)
    for given in _starts(manager):
        waiting = deque([Move("starts", given, None)])
        known: set[Hashable] = set()
        while waiting and len(known) < _ENOUGH:
            turn = _turn(manager, given.saga_id, waiting.popleft())
            if turn is None:
                continue
            conduct.add(turn.events)
            conduct.add_order(turn.state.handlers.sends)
            alike = likeness(manager, turn.state)
            if alike not in known:
                known.add(alike)
                waiting += moves.calling(turn.state)
    return conduct


def _turn(manager: ManagerDefinition, saga: UUID, move: Move) -> Turn | None:
    with suppress(Exception):
        return take_turn(manager, saga, move.state, move.given, move.now, _NAMESPACE)
    return None


def _starts(manager: ManagerDefinition) -> Iterator[Start]:
    for each in manager.starts:
        for _, body in choices(each.event):
            key = manager.key_of(manager.read_start(each.event.subject, to_json(body)))
            saga = saga_id(_NAMESPACE, manager.name, key)
            yield Start("start", saga, _NAMESPACE, key, each.event.subject, body)
