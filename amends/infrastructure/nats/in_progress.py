"""What an inbox has and has not acknowledged: while it lives, the broker is told that this is in progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from amends.infrastructure.broker import ConsumerSpec

_OFTEN: Final = 3
"""How often the broker is told within the time that it waits."""


class InProgress:
    """One consumer's messages by the subjects that their acknowledgements go to, the one told longest ago first."""

    def __init__(self, spec: ConsumerSpec) -> None:
        self._kept_for = spec.keep
        self._every = spec.ack_wait / _OFTEN
        # When each arrived, and when the broker was told last.
        self._messages: dict[str, tuple[float, float]] = {}

    def arrived(self, reply: str, now: float) -> None:
        """A message was delivered."""
        if self._kept_for:
            self._messages[reply] = (now, now)

    def over(self, reply: str) -> None:
        """It is acknowledged, or no longer ours."""
        self._messages.pop(reply, None)

    def clear(self) -> None:
        """None of them is ours any more."""
        self._messages.clear()

    def due(self, now: float) -> float:
        """In how many seconds the broker must be told of the next one."""
        first = next(iter(self._messages.values()), None)
        return self._every if first is None else max(first[1] + self._every - now, 0.0)

    def told(self, now: float) -> Iterator[str]:
        """Those of which the broker is to be told now; what was kept for long enough is not among them any more."""
        while self._messages:
            reply, (arrived, told) = next(iter(self._messages.items()))
            if told + self._every > now:
                return
            del self._messages[reply]
            if now - arrived < self._kept_for:
                self._messages[reply] = (arrived, now)
                yield reply
