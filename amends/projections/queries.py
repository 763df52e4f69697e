"""Every question that can be asked about sagas, free of any face: command line, HTTP and the rest ask here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from amends.domain.errors import AmendsError, UnreadableEvent
from amends.domain.events import JsonObject
from amends.domain.evolve import fold
from amends.domain.history import Recorded
from amends.infrastructure.ports import SagaRow, Which
from amends.projections.dead_letters import LetterNotFound
from amends.projections.histories import EVERY, Histories
from amends.projections.paging import DEAD_LETTERS, SAGAS, STUCK, TIMERS, Page, Views, page, plain
from amends.projections.story import standing, story, unreadable
from amends.projections.travel.facts import Change, changes, facts
from amends.projections.travel.moments import Moment, Past, as_of
from amends.projections.travel.replaying import Played, replay
from amends.projections.travel.system import Census, census


class SagaNotFound(AmendsError):
    """There is no saga of this id or key."""


class SeveralSagas(AmendsError):
    """Sagas of several types have this key."""


class Queries:
    """Answers from the event store, and lists from the views. A saga is named by its id, or by its business key."""

    def __init__(self, store: Histories, views: Views) -> None:
        self._store = store
        self._views = views

    async def find(self, named: str) -> SagaRow:
        """The saga of this id or key. Raises `SagaNotFound`, `SeveralSagas`."""
        return await find(self._store, named)

    async def recorded(self, named: str) -> list[Recorded]:
        """The history of a saga. Raises `SagaNotFound`, `SeveralSagas`, `UnreadableEvent`."""
        return list(await self._unread(named))

    async def _unread(self, named: str) -> Sequence[Recorded]:
        row = await self.find(named)
        history = await self._store.unread(row.saga_id)
        if not history:
            raise SagaNotFound(
                f"saga {row.saga_id} has no history: it could not be decided at its very start, and is in quarantine"
            )
        return history

    async def standing(self, named: str) -> JsonObject:
        """Where a saga stands, what it waits for and since when, and why it stands still, if it does.

        Raises `SagaNotFound`, `SeveralSagas`.
        """
        row = await self.find(named)
        return {**await self._standing(row), **await self._standstill(row)}

    async def stood(self, named: str, when: Moment) -> JsonObject:
        """Where a saga stood at a version or an instant. Raises as `state`."""
        past = as_of(await self._unread(named), when)
        steps = await self._steps(past.state.saga, past.state.definition)
        return {**standing(past.state, past.version, steps), "quarantine": None, "version_missing": False}

    async def _standing(self, row: SagaRow) -> JsonObject:
        try:
            recorded = await self._store.history(row.saga_id)
        except UnreadableEvent:
            recorded = []
        state = fold((item.event for item in recorded), row.saga_id)
        if state is None:
            return unreadable(row.saga_id, row.saga, row.definition, row.key, row.status, row.version)
        return standing(state, len(recorded), await self._steps(row.saga, row.definition))

    async def _standstill(self, row: SagaRow) -> JsonObject:
        """It is in quarantine, or no running worker holds its version."""
        told = next(iter(await self._store.quarantined(saga_id=row.saga_id)), None)
        missing = {(each.saga, each.definition) for each in await self._store.workers.missing()}
        quarantine = told and {
            "since": told.since.isoformat(),
            "error": told.error,
            "after_event": told.version,
            "held": told.held,
        }
        return {"quarantine": quarantine, "version_missing": (row.saga, row.definition) in missing}

    async def _steps(self, saga: str, definition: int) -> list[str]:
        shapes = {(shape["saga"], shape["version"]): shape for shape in await self._store.shapes()}
        return [step["name"] for step in shapes.get((saga, definition), {}).get("steps", ())]

    async def story(self, named: str) -> list[JsonObject]:
        """Every event of a saga. Raises as `recorded`."""
        return story(await self.recorded(named))

    async def state(self, named: str, when: Moment | None = None) -> Past:
        """The state of a saga at a version or an instant.

        Raises `BeyondTheEnd`, `BeforeTheStart`, and as `recorded`.
        """
        return as_of(await self._unread(named), when)

    async def difference(self, named: str, before: Moment, after: Moment) -> list[Change]:
        """What became different between two moments, in either order. Raises as `state`."""
        history = await self._unread(named)
        return changes(as_of(history, before).state, as_of(history, after).state)

    async def replay(self, named: str) -> Iterable[Played]:
        """A saga's history event by event, with what each changed. Raises as `recorded`."""
        return replay(await self.recorded(named))

    async def census(
        self, when: datetime, which: Which = EVERY, progress: Callable[[], None] = lambda: None
    ) -> Census:
        """How many sagas were where at an instant."""
        return await census(self._store, when, which, progress)

    async def sagas(self, filters: Mapping[str, Any], after: str = "", limit: int = 50) -> Page:
        """Sagas, latest start first. Filters `saga`, `definition`, `status`, `key`, `older_than` (since its start).

        This and the other lists raise `ImpossibleFilter`, `BadCursor`, `CursorOfAnotherQuery`.
        """
        return await page(self._views, SAGAS, filters, after, limit)

    async def stuck(self, filters: Mapping[str, Any], after: str = "", limit: int = 50) -> Page:
        """Unfinished sagas, stalest first, each with the reason why it stands and the command that would help.

        Filters `saga`, `definition`, `reason`, `older_than` (since it stands).
        """
        return await page(self._views, STUCK, filters, after, limit)

    async def timers(self, filters: Mapping[str, Any], after: str = "", limit: int = 50) -> Page:
        """Timers of all sagas, those first that fall due first. Filters `saga`, `definition`."""
        return await page(self._views, TIMERS, filters, after, limit)

    async def dead_letters(self, filters: Mapping[str, Any], after: str = "", limit: int = 50) -> Page:
        """Messages that could not be handled, latest first; filters `saga`, `subject`, `older_than`."""
        return await page(self._views, DEAD_LETTERS, filters, after, limit)

    async def dead_letter(self, message_id: str) -> JsonObject:
        """One message that could not be handled, with all that is known of it. Raises `LetterNotFound`."""
        found = await self._views.rows("dead_letter", {"message_id": message_id})
        if not found:
            raise LetterNotFound(message_id)
        return plain(found[0])


def state_as_json(past: Past) -> JsonObject:
    """A state with its version."""
    return {"version": past.version, **facts(past.state)}


async def find(store: Histories, named: str) -> SagaRow:
    """The saga of this id or key. Raises `SagaNotFound`, `SeveralSagas`."""
    try:
        rows = await store.saga_rows(saga_id=UUID(named))
    except ValueError:
        rows = await store.saga_rows(key=named)
    if not rows:
        raise SagaNotFound(
            f"expected the id or key of a saga, got {named!r}; there is none such in this namespace. A saga is "
            "known once a worker has taken its start event"
        )
    if len(rows) > 1:
        ids = ", ".join(f"{row.saga_id} ({row.saga})" for row in rows)
        raise SeveralSagas(f"expected one saga of the key {named!r}, got several: {ids}; name one by its id")
    return rows[0]
