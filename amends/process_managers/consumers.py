"""Which messages a worker asks the broker for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amends.domain import wire
from amends.domain.events import JsonObject
from amends.infrastructure.broker import ConsumerSpec
from amends.process_managers.registry import Registry, reply_filter, start_filter
from amends.process_managers.routing import REPLIES, START


def consumer_specs(
    registry: Registry, shapes: Sequence[JsonObject], namespace: str, deliver: Literal["new", "all"]
) -> list[ConsumerSpec]:
    """For each type that is held: one durable consumer for what starts its sagas, and one for what answers them.

    `shapes` are those of every version that was ever recorded.
    """
    events = wire.stream(namespace, "events")
    specs: list[ConsumerSpec] = []
    for saga in registry.types:
        starts = start_filter(namespace, saga, shapes)
        replies = reply_filter(namespace, saga, shapes)
        ahead = registry.limits.get(saga)
        specs.append(ConsumerSpec(events, f"{START}{saga}", starts, deliver=deliver, ahead=ahead))
        specs.append(ConsumerSpec(events, f"{REPLIES}{saga}", replies, deliver=deliver))
    return specs
