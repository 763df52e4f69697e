"""How the limits stand: what runs, what is outstanding, what waits and why."""

from __future__ import annotations

from datetime import timedelta

from amends.domain.events import JsonObject
from amends.infrastructure.limits import LimitStatus, ParticipantStatus, TypeStatus


def facts(status: LimitStatus) -> JsonObject:
    """The limits of saga types and of participants, as JSON; times are ISO 8601, durations seconds."""
    return {
        "types": [_type(each) for each in status.types],
        "participants": [_participant(each) for each in status.participants],
    }


def _type(each: TypeStatus) -> JsonObject:
    return {"type": each.saga, "limit": each.at_once, "running": each.busy, "waiting": each.waiting}


def _participant(each: ParticipantStatus) -> JsonObject:
    limit, breaker = each.limit, each.limit and each.limit.breaker
    return {
        "participant": each.participant,
        "outstanding": each.outstanding,
        "outstanding_limit": limit and limit.outstanding,
        "per_second_limit": limit and limit.per_second,
        "held": each.held,
        "held_since": each.held_since and each.held_since.isoformat(),
        "breaker": each.gate.state if breaker else None,
        "breaker_since": each.gate.since.isoformat() if breaker and each.gate.since else None,
        "breaker_pause": _seconds(breaker.pause) if breaker else None,
        "failures": each.gate.recent.count("x") if breaker else None,
        "outcomes": len(each.gate.recent) if breaker else None,
        "held_by": _held_by(each),
    }


def _held_by(each: ParticipantStatus) -> str:
    """What holds the commands that are held, to a person."""
    limit = each.limit
    if not each.held:
        return ""
    if limit is None:
        return "nothing any more: no worker has limits for it"
    if limit.breaker and each.gate.state == "open":
        return "its circuit breaker is open"
    if limit.breaker and each.gate.state == "half-open":
        return "its circuit breaker is half-open, and waits for probes"
    if limit.outstanding is not None and each.outstanding >= limit.outstanding:
        return "as many are outstanding as may be"
    return "its turn" if limit.per_second is None else "its turn, or the rate"


def _seconds(length: timedelta) -> float:
    return length.total_seconds()
