"""The store's limits under watch: what leaves is counted anew, and compared with what was declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from amends.infrastructure.limits import Releases
from amends.infrastructure.memory.limits import MemoryLimits
from amends.infrastructure.ports import Clock, Held, SagaRow

_SECOND: Final = timedelta(seconds=1)


class WatchedLimits(MemoryLimits):
    """Adds to `broken` what leaves over the limit of a participant, or while its circuit breaker is open."""

    def __init__(
        self,
        clock: Clock,
        is_quarantined: Callable[[UUID], bool],
        row: Callable[[UUID], SagaRow | None],
        held: Callable[[], Iterable[Held]],
        broken: list[str],
    ) -> None:
        super().__init__(clock, is_quarantined, row, held)
        self._broken = broken
        self._left: dict[str, Counter[datetime]] = {}

    async def release(self, participant: str, at_most: int, *, own: bool = False) -> Releases:
        """What may leave."""
        releases = await super().release(participant, at_most, own=own)
        if releases.commands:
            self._check(participant, self._count(participant, len(releases.commands)))
        return releases

    def _count(self, participant: str, more: int) -> int:
        """How many left within the last second with these; where the clock went back, only these."""
        now = self._clock.now()
        before = self._left.get(participant, Counter())
        last = {at: count for at, count in before.items() if now - _SECOND < at}
        self._left[participant] = Counter(last if max(before, default=now) <= now else {})
        self._left[participant][now] += more
        return self._left[participant].total()

    def _check(self, participant: str, left: int) -> None:
        known, now = self._participants[participant], self._clock.now()
        out = self._out(participant, known.gate, now).count
        if known.limit.outstanding is not None and out > known.limit.outstanding:
            self._broken.append(
                f"limits: {out} of {participant} are out, at most {known.limit.outstanding} may be"
            )
        if known.limit.per_second is not None and left > known.limit.per_second:
            self._broken.append(f"limits: {left} of {participant} left within a second")
        if known.limit.breaker is not None and known.gate.state == "open":
            self._broken.append(f"limits: {participant} is asked while its circuit breaker is open")
