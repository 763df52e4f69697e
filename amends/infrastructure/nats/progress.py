"""Up to when a consumer's messages are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from amends.infrastructure.broker import NO_MOMENT, ConsumerSpec
from amends.infrastructure.nats.api import Api
from amends.infrastructure.subjects import covers, minimal


async def handled_until(api: Api, spec: ConsumerSpec) -> datetime | None:
    """When the broker received this consumer's first unacknowledged message; None: there is none.

    Everything up to the acknowledgement floor is acknowledged, whichever worker did it, so the first message
    after it that matches a filter is the one; acknowledgements that come meanwhile only make this too early.
    `NO_MOMENT` where the consumer is missing.
    """
    info = await api.consumer(spec.stream, spec.durable)
    if info is None:
        return NO_MOMENT
    if not (info["num_pending"] or info["num_ack_pending"]):
        return None
    after: int = info["ack_floor"]["stream_seq"] + 1
    filters = minimal(info["config"].get("filter_subjects") or [info["config"].get("filter_subject") or ">"])
    first = await _next(api, spec.stream, after, ">")
    if first is None:
        return None
    if not any(covers(each, first["subject"]) for each in filters):
        found = await asyncio.gather(*(_next(api, spec.stream, first["seq"], each) for each in filters))
        matching = [each for each in found if each is not None]
        if not matching:
            return None  # they have aged out
        first = min(matching, key=lambda each: int(each["seq"]))
    return moment(first["time"])


async def _next(api: Api, stream: str, after: int, pattern: str) -> Mapping[str, Any] | None:
    return await api.message(stream, {"seq": after, "next_by_subj": pattern})


def moment(text: str) -> datetime:
    """RFC 3339 with nanoseconds, rounded down to microseconds: it must never come out later than it was."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").replace(microsecond=int(f"{fraction:0<6}"[:6]))
