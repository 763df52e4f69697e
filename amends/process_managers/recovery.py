"""What a worker does when the broker lost its memory: send again whatever is still unanswered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from amends.domain.events import EventPublished
from amends.domain.history import Recorded
from amends.domain.state import SagaState
from amends.infrastructure.broker import PublishFailed
from amends.infrastructure.clock import fresh_name
from amends.infrastructure.letters import dead_letter
from amends.infrastructure.ports import Outgoing, Publisher, Store
from amends.infrastructure.publishing import publish_all_that_can_be
from amends.process_managers import outgoing

_LOG: Final = logging.getLogger("amends.worker")
_BATCH: Final = 500
_LETTERS: Final = 20  # each may be as large as a message can be
_MILESTONES: Final = [event.type for event in outgoing.MILESTONES]


async def send_again(store: Store, publisher: Publisher) -> int:
    """Publish every unanswered command again, out of the histories. Returns how many.

    Those of all types, held here or not: the loss is noticed by one worker, and then it is remembered for all.
    Each keeps its command id, so a participant that has done it only repeats its answer; the broker is given a
    fresh id, or it might take the message for a duplicate of one that it lost.
    """
    suffix = f"@{fresh_name()}"
    saga_types = {shape["saga"] for shape in await store.shapes()}
    sent, after = 0, None
    while ids := await store.outstanding(saga_types, after, _BATCH):
        loaded = await store.load(ids)
        states = [aggregate.state for aggregate in loaded.aggregates.values() if aggregate.state]
        messages = [message for state in states for message in outgoing.outstanding(state, suffix)]
        sent, after = sent + await _publish(publisher, messages), ids[-1]
    _LOG.warning("the broker lost messages: %d unanswered commands were sent again", sent)
    return sent


async def tell_again(store: Store, publisher: Publisher, retention: timedelta) -> int:
    """Publish again what became of sagas during the retention, out of the histories. Returns how many messages."""
    return await _again(store, publisher, retention, _MILESTONES, outgoing.milestone)


async def publish_again(store: Store, publisher: Publisher, retention: timedelta) -> int:
    """Publish again the events that process managers published during the retention. Returns how many."""
    return await _again(store, publisher, retention, [EventPublished.type], _published)


async def bury_again(store: Store, publisher: Publisher, namespace: str) -> int:
    """Publish again the dead letters that nobody has seen to. Returns how many."""
    suffix = f"@{fresh_name()}"
    told, after = 0, ""
    while letters := await store.dead_letters(after, _LETTERS):
        messages = [
            dead_letter(namespace, each.where, each.message, each.message_id, each.reason) for each in letters
        ]
        again = [replace(each, deduplication_id=f"{each.deduplication_id}{suffix}") for each in messages]
        told, after = told + await _publish(publisher, again), letters[-1].message_id
    return told


def _published(state: SagaState, recorded: Recorded, suffix: str) -> Outgoing | None:
    event = recorded.event
    assert isinstance(event, EventPublished)
    withheld = state.suspended and event in state.handlers.withheld
    return None if withheld else outgoing.published(state, event, suffix)


async def _again(
    store: Store,
    publisher: Publisher,
    retention: timedelta,
    types: Sequence[str],
    message: Callable[[SagaState, Recorded, str], Outgoing | None],
) -> int:
    since = (await store.load(())).now - retention
    suffix = f"@{fresh_name()}"
    told, after = 0, 0
    while page := await store.recorded_since(since, types, after, _BATCH):
        loaded = await store.load({recorded.originator_id for _, recorded in page})
        found = [
            message(aggregate.state, recorded, suffix)
            for _, recorded in page
            if (aggregate := loaded.aggregates.get(recorded.originator_id)) and aggregate.state
        ]
        messages = [each for each in found if each is not None]
        told, after = told + await _publish(publisher, messages), page[-1][0]
    return told


async def _publish(publisher: Publisher, messages: Sequence[Outgoing]) -> int:
    """What cannot be sent must not hold up the others, nor end the worker: it was not sent before either."""
    refused = await publish_all_that_can_be(publisher, messages)
    if refused:
        error = PublishFailed(list(refused.values()))
        _LOG.error("the broker refused %d messages that it may have lost: %s", len(refused), error)
    return len(messages) - len(refused)
