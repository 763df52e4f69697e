"""Which moment of a history is meant, and the state as it was then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from amends.domain.errors import AmendsError
from amends.domain.evolve import fold
from amends.domain.history import Recorded
from amends.domain.state import SagaState


class BeyondTheEnd(AmendsError):
    """A saga never had this version."""


class BeforeTheStart(AmendsError):
    """At this instant the saga had not started."""


class NoMoment(AmendsError):
    """A text names neither a version nor an instant."""


@dataclass(frozen=True)
class Past:
    """A saga's state after its `version`-th event."""

    version: int
    state: SagaState


Moment = int | datetime
"""A version, or an instant (aware)."""


def moment(text: str) -> Moment:
    """`7` is a version; `2026-11-20T12:00` an instant, in UTC where it names no zone. Raises `NoMoment`."""
    if text.isascii() and text.isdigit():
        return int(text)
    return instant(text)


def instant(text: str) -> datetime:
    """An instant in ISO 8601, in UTC where it names no zone. Raises `NoMoment`."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise NoMoment(
            f"expected a version such as 7, or an instant such as 2026-11-20T12:00 (UTC), got {text!r}"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def as_of(history: Sequence[Recorded], when: Moment | None = None) -> Past:
    """The state at a version, or after all that had happened by an instant; without `when` the latest.

    `history` is not empty. Raises `BeyondTheEnd` for a version that there never was, `BeforeTheStart` for an instant
    before the first event.
    """
    version = len(history) if when is None else version_at(history, when)
    state = fold((recorded.event for recorded in history[:version]), history[0].originator_id)
    assert state is not None
    return Past(version, state)


def version_at(history: Sequence[Recorded], when: Moment) -> int:
    """The version that the saga had then. Raises as `as_of`."""
    first, last = history[0], history[-1]
    if isinstance(when, int):
        if not 1 <= when <= len(history):
            raise BeyondTheEnd(
                f"expected a version of saga {first.originator_id} from 1 to {len(history)}, its latest; got {when}"
            )
        return when
    if when < first.event.at:
        raise BeforeTheStart(
            f"expected an instant in the life of saga {first.originator_id}, which started at "
            f"{first.event.at.isoformat()} (its latest event is of {last.event.at.isoformat()}); got {when.isoformat()}"
        )
    # Times in a history never go back, so that they can be searched by halves.
    return bisect_right(history, when, key=lambda recorded: recorded.event.at)
