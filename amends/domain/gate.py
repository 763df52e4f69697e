"""What decides how many held commands of a participant may leave: a pure machine, whoever keeps its state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from amends.domain.limits import Breaker, Limit

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that left, and that nobody waits for any more; `failed`: for a technical reason, or unanswered."""

    released: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Out:
    """The commands that wait for an answer: how many, and how many of them left since the gate is as it is."""

    count: int = 0
    probes: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """What is remembered of a participant: its circuit breaker, and when commands left in the last second.

    `since` is when the breaker came into its state. `recent` are the latest outcomes, `x` for a failure and `.` for
    an answer: of the last commands while it is closed, of the probes while it is half-open.
    """

    state: Literal["closed", "open", "half-open"] = "closed"
    since: datetime | None = None
    recent: str = ""
    left: tuple[tuple[datetime, int], ...] = ()

    def heard(self, breaker: Breaker | None, ended: Iterable[Ended], now: datetime) -> Gate:
        """The gate after these outcomes, at this time."""
        if breaker is None:
            return replace(self, state="closed", since=None, recent="")
        gate = self
        for each in ended:
            if gate.since is None or each.released >= gate.since:
                gate = gate._heard_one(breaker, each, now)
        if gate.state == "open" and now >= gate._opened + breaker.pause:
            gate = replace(gate, state="half-open", since=now, recent="")
        return gate

    def room(self, limit: Limit, out: Out, now: datetime) -> int | None:
        """How many commands may leave now; None: any number."""
        bounds = [] if limit.outstanding is None else [limit.outstanding - out.count]
        if limit.per_second is not None:
            bounds.append(limit.per_second - sum(count for _, count in self._last_second(now)))
        if self.state == "open":
            bounds.append(0)
        elif self.state == "half-open" and limit.breaker is not None:
            bounds.append(limit.breaker.probes - len(self.recent) - out.probes)
        return max(0, min(bounds)) if bounds else None

    def released(self, count: int, now: datetime) -> Gate:
        """The gate after so many left."""
        left = (*self._last_second(now), *([(now, count)] if count else []))
        return replace(self, left=left)

    def again(self, limit: Limit, now: datetime) -> datetime | None:
        """When more may leave although no answer comes: a pause, or a second, is over. None: never."""
        if self.state == "open" and limit.breaker is not None:
            return self._opened + limit.breaker.pause
        if limit.per_second is not None and (left := self._last_second(now)):
            return left[0][0] + _SECOND
        return None

    def _heard_one(self, breaker: Breaker, ended: Ended, now: datetime) -> Gate:
        recent = self.recent + ("x" if ended.failed else ".")
        if self.state == "open":
            return self
        if self.state == "half-open":
            if ended.failed:
                return replace(self, state="open", since=now, recent="")
            closes = len(recent) >= breaker.probes
            return (
                replace(self, state="closed", since=now, recent="")
                if closes
                else replace(self, recent=recent)
            )
        recent = recent[-breaker.outcomes :]
        opens = (
            len(recent) == breaker.outcomes and recent.count("x") >= breaker.failure_rate * breaker.outcomes
        )
        return replace(self, state="open", since=now, recent="") if opens else replace(self, recent=recent)

    def _last_second(self, now: datetime) -> tuple[tuple[datetime, int], ...]:
        return tuple((at, count) for at, count in self.left if at > now - _SECOND)

    @property
    def _opened(self) -> datetime:
        assert self.since is not None
        return self.since
