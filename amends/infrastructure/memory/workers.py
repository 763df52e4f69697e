"""Which workers run, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from amends.domain.history import readable_topics
from amends.infrastructure.ports import Clock, Held, MissingVersion, SagaRow

_GRACE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a worker told of itself."""

    at: datetime
    definitions: frozenset[tuple[str, int]]
    topics: frozenset[str]


class MemoryWorkers:
    """The `Workers` port in memory, over the sagas and the held messages of a store.

    `sagas` are their rows, each with the topics of its events that some worker could not read.
    """

    def __init__(
        self,
        clock: Clock,
        sagas: Callable[[], Iterable[tuple[SagaRow, frozenset[str]]]],
        held: Callable[[], Iterable[Held]],
    ) -> None:
        self._clock = clock
        self._sagas = sagas
        self._held = held
        self._seen: dict[str, _Seen] = {}

    async def seen(self, worker: str, definitions: Collection[tuple[str, int]]) -> None:
        self._seen[worker] = _Seen(self._clock.now(), frozenset(definitions), frozenset(readable_topics()))

    async def gone(self, worker: str) -> None:
        self._seen.pop(worker, None)

    async def missing(self) -> Sequence[MissingVersion]:
        known = {row.saga_id: row.definition for row, _ in self._sagas()}
        held = Counter(
            (each.saga, known.get(each.saga_id, each.definition) if each.saga_id else each.definition)
            for each in self._held()
            if each.why == "version"
        )
        sagas = Counter(
            (row.saga, row.definition)
            for row, unreadable in self._sagas()
            if row.status in ("running", "compensating") and not self._is_held(row, unreadable)
        )
        return [MissingVersion(*version, count, held[version]) for version, count in sorted(sagas.items())]

    async def types(self) -> frozenset[str]:
        return frozenset(saga for each in self._present() for saga, _ in each.definitions)

    def _is_held(self, row: SagaRow, unreadable: frozenset[str]) -> bool:
        return any(
            (row.saga, row.definition) in each.definitions and unreadable <= each.topics
            for each in self._present()
        )

    def _present(self) -> list[_Seen]:
        latest = self._clock.now() - _GRACE
        return [each for each in self._seen.values() if each.at > latest]
