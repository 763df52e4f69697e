"""What the read side asks of the event store: histories of single sagas, and of many in batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from amends.domain.events import JsonObject
from amends.domain.history import Recorded
from amends.infrastructure.ports import Quarantined, SagaRow, Which, Workers

BATCH: Final = 200
"""Sagas whose histories are in memory at a time."""


EVERY: Final = Which()


class Histories(Protocol):
    """The event store, as the read side sees it."""

    @property
    def workers(self) -> Workers:
        """Which workers run, and what they hold."""
        ...

    async def history(self, saga_id: UUID) -> list[Recorded]:
        """The events of one saga; none where there is no such saga. Raises `UnreadableEvent`."""
        ...

    async def unread(self, saga_id: UUID) -> Sequence[Recorded]:
        """The same, each event being read when it is looked at, which raises `UnreadableEvent`."""
        ...

    async def histories(self, saga_ids: Collection[UUID]) -> Mapping[UUID, list[Recorded] | Exception]:
        """The events of each of these sagas, or why they cannot be read."""
        ...

    async def saga_rows(
        self,
        *,
        saga: str | None = None,
        key: str | None = None,
        saga_id: UUID | None = None,
        limit: int = 1000,
    ) -> list[SagaRow]:
        """Sagas by any of type, key and id."""
        ...

    async def walk(self, which: Which, after: UUID | None, limit: int) -> Sequence[SagaRow]:
        """Those that have a history, in the order of their ids; `after` is the last of the page before."""
        ...

    async def quarantined(self, *, saga_id: UUID | None = None, limit: int = 1000) -> Sequence[Quarantined]:
        """Sagas in quarantine, longest first."""
        ...

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many sagas there are by type and status."""
        ...

    async def shapes(self) -> Sequence[JsonObject]:
        """Every shape of a definition that was ever recorded."""
        ...


async def walk(
    store: Histories, which: Which = EVERY
) -> AsyncIterator[tuple[SagaRow, list[Recorded] | Exception]]:
    """Each of these sagas with its history, or why that cannot be read; a batch of them is in memory at a time."""
    after: UUID | None = None
    while rows := await store.walk(which, after, BATCH):
        found = await store.histories([row.saga_id for row in rows])
        for row in rows:
            yield row, found[row.saga_id]
        after = rows[-1].saga_id


async def how_many(store: Histories, which: Which) -> int:
    """About how many sagas these are, to tell how far a walk has come."""
    counts = await store.counts()
    return sum(
        number
        for (saga, status), number in counts.items()
        if which.saga in (None, saga) and which.status in (None, status)
    )
