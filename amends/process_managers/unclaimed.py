"""Events that find no saga: ignored, kept for a while or made dead letters, as the definition chose."""

from __future__ import annotations

from datetime import datetime

from amends.domain.correlation import Missing
from amends.infrastructure.ports import Held, Unclaimed
from amends.process_managers.draft import Draft
from amends.process_managers.routing import Routed, Unheard

EARLY = "early"
"""Why an event is held that finds no saga yet."""


def unclaimed(draft: Draft, routed: Routed, now: datetime) -> None:
    """What becomes of an event that finds no saga; one that was kept has by now waited long enough."""
    correlation, message = routed.correlation, routed.message
    assert correlation is not None
    why = f"no {routed.saga} is found by {_named(routed)}"
    draft.let_go(message, routed.message_id, routed.saga, None)
    if correlation.missing is Missing.IGNORE:
        became = "ignored"
    elif correlation.missing is Missing.PARK and message.held != EARLY:
        became = "kept"
        draft.held.append(_early(routed, why, now))
    else:
        became = "dead"
        waited = f", and none was within {correlation.patience}" if message.held == EARLY else ""
        draft.bury(message, routed.message_id, why + waited)
    draft.unclaimed.append(
        Unclaimed(routed.message_id, routed.saga, correlation.event.subject, routed.key, became)
    )


def unheard(draft: Draft, event: Unheard, version: int) -> None:
    """Keep an event for a worker with the version that listens to it."""
    error = f"no worker that took it holds version {version} of {event.saga}, which listens to it"
    draft.let_go(event.message, event.message_id, event.saga, None)
    draft.held.append(Held(event.message, event.message_id, None, event.saga, version, "version", error))


def _early(routed: Routed, why: str, now: datetime) -> Held:
    assert routed.correlation is not None
    return Held(
        routed.message,
        routed.message_id,
        None if routed.sought else routed.saga_id,
        routed.saga,
        routed.definition,
        EARLY,
        why,
        routed.sought,
        now + routed.correlation.patience,
    )


def _named(routed: Routed) -> str:
    return f"{routed.sought.name} {routed.key!r}" if routed.sought else f"the key {routed.key!r}"
