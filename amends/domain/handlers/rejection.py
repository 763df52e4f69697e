"""What a handler is told where a service said a definite no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from amends.domain.messages import Command

C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True)
class Rejection(Generic[C]):
    """The service rejected this command: it did not happen, and will not. `reason` is what the service said."""

    command: C
    reason: str
