"""How much a participant is asked for at once, and when it is left alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from amends.domain.errors import DefinitionError
from amends.domain.policy import LONGEST

_MOST: Final = 1000
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


def checked_limit(saga: str, limit: int | None) -> int | None:
    """How many sagas of a type may run at once, None: any number. Raises `DefinitionError`."""
    if limit is not None and limit < 1:
        raise DefinitionError(
            f"{saga!r}: expected a limit of at least 1 saga at once, got {limit}; leave it out for no limit"
        )
    return limit


def one_for_each(limits: Iterable[Limit]) -> Sequence[Limit]:
    """These limits. Raises `DefinitionError` where a participant has two."""
    found: dict[str, Limit] = {}
    for limit in limits:
        if found.setdefault(limit.participant, limit) != limit:
            raise DefinitionError(
                f"expected one Limit for each participant, got two for {limit.participant!r}; put them into one"
            )
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker: leaves a participant alone that mostly fails or is silent.

    It opens when of the last `outcomes` commands this share (`failure_rate`) failed for a technical reason or were
    not answered in time; a `rejected` is a healthy answer. After `pause` it lets `probes` commands through, and closes
    when all of them were answered, or opens again at the first that was not. Raises `DefinitionError` when a value
    makes no sense.
    """

    failure_rate: float = 0.5
    outcomes: int = 20
    pause: timedelta = timedelta(seconds=30)
    probes: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.failure_rate <= 1:
            raise DefinitionError(
                f"Breaker: expected a failure_rate above 0 and not above 1, got {self.failure_rate}"
            )
        if not (1 <= self.outcomes <= _MOST and 1 <= self.probes <= _MOST):
            raise DefinitionError(
                f"Breaker: expected outcomes and probes of 1 to {_MOST}, got {self.outcomes} and {self.probes}"
            )
        if not timedelta(0) < self.pause <= LONGEST:
            raise DefinitionError(
                f"Breaker: expected a pause above 0, of a century at most, got {self.pause}"
            )


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one participant is asked for, over all sagas and workers of a namespace.

    `participant` is the first part of its commands' subjects. `outstanding` is how many of its commands may wait for
    their answer at once, `per_second` how many may leave within any second; None: as many as there are. Without a
    `breaker` it is asked however often it fails. What is over the limit is held, and is sent in its turn; commands
    that compensate or close go first. Raises `DefinitionError` when a value makes no sense.
    """

    participant: str
    outstanding: int | None = None
    per_second: int | None = None
    breaker: Breaker | None = None

    def __post_init__(self) -> None:
        if not _SERVICE.fullmatch(self.participant):
            raise DefinitionError(
                "Limit: expected the name of a participant, the first part of its commands' subjects, "
                f"got {self.participant!r}"
            )
        for name, value in (("outstanding", self.outstanding), ("per_second", self.per_second)):
            if value is not None and value < 1:
                raise DefinitionError(
                    f"Limit({self.participant!r}): expected {name} of at least 1, got {value}; "
                    "leave it out for no limit"
                )
