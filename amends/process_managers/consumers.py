"""Which messages a worker asks the broker for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from amends.domain import wire
from amends.domain.events import JsonObject
from amends.infrastructure.broker import ConsumerSpec
from amends.process_managers.registry import Registry, reply_filter, start_filter
from amends.process_managers.routing import REPLIES, START

ACK_WAIT: Final = 5.0
"""Seconds after which another worker gets the messages of one that died."""

KEEP: Final = 30.0
"""Seconds for which a worker that lives keeps a message that it cannot finish, because the database is away."""


def consumer_specs(
    registry: Registry, shapes: Sequence[JsonObject], namespace: str, deliver: Literal["new", "all"]
) -> list[ConsumerSpec]:
    """For each type that is held: one durable consumer for what starts its sagas, and one for what answers them.

    `shapes` are those of every version that was ever recorded.
    """
    events = wire.stream(namespace, "events")
    spec = partial(ConsumerSpec, events, deliver=deliver, ack_wait=ACK_WAIT, keep=KEEP)
    specs: list[ConsumerSpec] = []
    for saga in registry.types:
        starts = start_filter(namespace, saga, shapes)
        replies = reply_filter(namespace, saga, shapes)
        ahead = registry.limits.get(saga)
        # What is asked for by slots that are free here stays here.
        passed_on_by = wire.SAGA_ID if ahead is None else ""
        specs.append(spec(f"{START}{saga}", starts, ahead=ahead, together=passed_on_by))
        specs.append(spec(f"{REPLIES}{saga}", replies, together=wire.SAGA_ID))
    return specs
