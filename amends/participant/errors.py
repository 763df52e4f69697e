"""What a handler raises to answer with a no, and what goes wrong inside a participant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from amends.domain.errors import AmendsError
from amends.domain.messages import Event


class Rejected(AmendsError):
    """Raised by a handler: a definite no. It did not happen, and under this idempotency key it never will.

    What the handler did in its transaction is rolled back. `details` is anything that JSON can carry
    (decimals and times travel as strings). A reaction has nobody to answer: it tells its no by `event`, which is
    published.
    """

    def __init__(self, code: str, reason: str, details: Any = None, *, event: Event | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.details = details
        self.event = event


class Failed(AmendsError):
    """Raised by a handler: this attempt took no effect, another may. What it did is rolled back.

    `retry_after` asks whoever sent the command to wait so long before the next attempt.
    """

    def __init__(
        self, code: str, reason: str, retry_after: timedelta | None = None, details: Any = None
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        self.details = details


class Undecodable(AmendsError):
    """A message cannot be understood: it goes to the dead letters, with this text as the reason."""


class AnswerTooLarge(AmendsError):
    """A handler's answer does not fit into a message; its effect is rolled back."""


class HandlerBroken(AmendsError):
    """A handler broke its contract: a wrong kind of answer, or a database error swallowed by it."""
