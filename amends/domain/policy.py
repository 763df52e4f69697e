"""How often, and how long after, a command is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from amends.domain.errors import DefinitionError

DEFAULT_TIMEOUT: Final = timedelta(seconds=30)
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
        if self.factor < 1:
            raise DefinitionError(f"Retry: expected a factor of at least 1, got {self.factor}")
        if self.delay < timedelta(0) or self.cap < self.delay or self.slow <= timedelta(0):
            raise DefinitionError(
                f"Retry: expected 0 <= delay <= cap and slow > 0, got delay={self.delay}, cap={self.cap}, "
                f"slow={self.slow}"
            )

    def wait(self, tries: int, command_id: UUID) -> timedelta:
        """How long to wait after so many tries; the jitter of ±20 % is drawn from the last command's id."""
        if tries >= self.attempts:
            base = self.slow
        else:
            # Beyond 64 doublings every cap is reached; without the bound the power overflows.
            base = min(self.delay * self.factor ** min(tries - 1, 64), self.cap)
        draw = (command_id.int & 0xFFFF) / 0xFFFF
        return base * (1 - _JITTER + 2 * _JITTER * draw)


DEFAULT_RETRY: Final = Retry()
COMPENSATION_RETRY: Final = Retry(attempts=5)
