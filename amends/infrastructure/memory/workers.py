"""Which workers run, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from amends.infrastructure.ports import Clock, Held, MissingVersion, SagaRow

_GRACE: Final = timedelta(seconds=30)


class MemoryWorkers:
    """The `Workers` port in memory, over the sagas and the held messages of a store."""

    def __init__(
        self, clock: Clock, sagas: Callable[[], Iterable[SagaRow]], held: Callable[[], Iterable[Held]]
    ) -> None:
        self._clock = clock
        self._sagas = sagas
        self._held = held
        self._seen: dict[str, tuple[datetime, frozenset[tuple[str, int]]]] = {}

    async def seen(self, worker: str, definitions: Collection[tuple[str, int]]) -> None:
        self._seen[worker] = (self._clock.now(), frozenset(definitions))

    async def gone(self, worker: str) -> None:
        self._seen.pop(worker, None)

    async def missing(self) -> Sequence[MissingVersion]:
        latest = self._clock.now() - _GRACE
        present = {version for at, versions in self._seen.values() if at > latest for version in versions}
        sagas = Counter(
            (row.saga, row.definition)
            for row in self._sagas()
            if row.status in ("running", "compensating") and (row.saga, row.definition) not in present
        )
        held = Counter((each.saga, each.definition) for each in self._held() if each.why == "version")
        return [MissingVersion(*version, count, held[version]) for version, count in sorted(sagas.items())]
