"""How often, and how long after, a command is sent again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from amends.domain.errors import DefinitionError

DEFAULT_TIMEOUT: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(days=36_500)
"""The longest time limit or delay, a century: a time that ends after the calendar cannot be reckoned with."""

_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy: exponential backoff with jitter up to a cap.

    `attempts` are the quick ones, the first included. Where a saga may not give up (after the pivot, while
    compensating or closing) they are followed by slow ones, every `slow`, without end.
    Raises `DefinitionError` when a value makes no sense.
    """

    attempts: int = 3
    delay: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=1)
    slow: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise DefinitionError(f"Retry: expected attempts of at least 1, got {self.attempts}")
        if not 1 <= self.factor < math.inf:
            raise DefinitionError(f"Retry: expected a factor of at least 1, got {self.factor}")
        if not (timedelta(0) <= self.delay <= self.cap <= LONGEST and timedelta(0) < self.slow <= LONGEST):
            raise DefinitionError(
                f"Retry: expected 0 <= delay <= cap and slow > 0, all of a century at most, "
                f"got delay={self.delay}, cap={self.cap}, slow={self.slow}"
            )

    def wait(self, tries: int, command_id: UUID) -> timedelta:
        """How long to wait after so many tries; the jitter of ±20 % is drawn from the last command's id."""
        base = self.slow if tries >= self.attempts else self._quick(tries)
        draw = (command_id.int & 0xFFFF) / 0xFFFF
        return base * (1 - _JITTER + 2 * _JITTER * draw)

    def _quick(self, tries: int) -> timedelta:
        if not self.delay or self.factor == 1:
            return self.delay
        # Compared as logarithms: the power itself overflows long after the cap is reached.
        if (tries - 1) * math.log(self.factor) >= math.log(self.cap / self.delay):
            return self.cap
        return self.delay * self.factor ** (tries - 1)


DEFAULT_RETRY: Final = Retry()
COMPENSATION_RETRY: Final = Retry(attempts=5)
