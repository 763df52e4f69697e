"""The part of the fold that serves the event-handler style: what was handled, sent, asked for and learnt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from amends.domain import events as e
from amends.domain.state import SagaState


def _but(state: SagaState, **changes: Any) -> SagaState:
    return state.but(handlers=state.handlers.but(**changes))


def _handled(state: SagaState, event: e.EventHandled) -> SagaState:
    known = state.handlers
    return _but(state, handled=known.handled.adding(event.cause), model=known.model | event.changed)


def _passed_over(state: SagaState, event: e.EventPassedOver) -> SagaState:
    return _but(state, handled=state.handlers.handled.adding(event.cause))


def _send_requested(state: SagaState, event: e.SendRequested) -> SagaState:
    return _but(state, sends=(*state.handlers.sends, event))


def _published(state: SagaState, event: e.EventPublished) -> SagaState:
    known = state.handlers
    withheld = (*known.withheld, event) if state.suspended else known.withheld
    return _but(state, published=known.published + 1, withheld=withheld)


def with_timeout(state: SagaState, name: str, due: datetime | None) -> SagaState:
    """The timeout of this name falls due then; None: it is awaited no longer."""
    left = {other: when for other, when in state.handlers.timeouts.items() if other != name}
    return _but(state, timeouts=MappingProxyType(left if due is None else {**left, name: due}))


def _timeout_requested(state: SagaState, event: e.TimeoutRequested) -> SagaState:
    return with_timeout(state, event.name, event.due)


def _timeout_over(state: SagaState, event: e.TimeoutCancelled) -> SagaState:
    return with_timeout(state, event.name, None)


def _timeout_fired(state: SagaState, event: e.TimeoutFired) -> SagaState:
    return _but(with_timeout(state, event.name, None), model=state.handlers.model | event.changed)


def _completing(state: SagaState, _: e.CompletionRequested) -> SagaState:
    return _but(state, completing=True)


def _key_learnt(state: SagaState, event: e.KeyLearnt) -> SagaState:
    return _but(state, keys=state.handlers.keys | {(event.name, event.value)})


def _key_clashed(state: SagaState, event: e.KeyClashed) -> SagaState:
    return _but(state, clashes=state.handlers.clashes | {(event.name, event.value)})


EVOLVE_HANDLERS: Final[dict[type[e.SagaEvent], Callable[[SagaState, Any], SagaState]]] = {
    e.EventHandled: _handled,
    e.EventPassedOver: _passed_over,
    e.SendRequested: _send_requested,
    e.EventPublished: _published,
    e.TimeoutRequested: _timeout_requested,
    e.TimeoutCancelled: _timeout_over,
    e.TimeoutFired: _timeout_fired,
    e.CompletionRequested: _completing,
    e.KeyLearnt: _key_learnt,
    e.KeyClashed: _key_clashed,
}
