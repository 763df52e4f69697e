"""Starts sagas of limited types: their consumers are not pulled while as many run as may."""

from __future__ import annotations

from typing import Final

from amends.infrastructure.broker import NO_MOMENT
from amends.infrastructure.limits import Slot
from amends.infrastructure.ports import Commit, Inbox, Store
from amends.process_managers.deciding import Deciding
from amends.process_managers.registry import Registry
from amends.process_managers.routing import START

_PAGE: Final = 500


class Starting:
    """Pauses the consumer of starts where a type has no slot left, and opens it when one is free.

    What was pulled already waits in the store, and comes first. So does all that starts a process manager: it may be
    for one that runs, which must hear of it.
    """

    def __init__(
        self, store: Store, inbox: Inbox, deciding: Deciding, registry: Registry, at_most: int
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._deciding = deciding
        self._types = frozenset(registry.types)
        self._limited = frozenset(registry.limits)
        self._pausable = frozenset(saga for saga in registry.types if not registry.manages(saga))
        self._at_most = at_most
        self._paused: set[str] = set()

    async def begin(self, saga: str) -> None:
        """The type has a limit from now on: count its sagas that run already."""
        after = None
        while ids := await self._store.outstanding([saga], after, _PAGE):
            loaded = await self._store.load(ids)
            states = [each.state for each in loaded.aggregates.values() if each.state]
            slots = [Slot(state.id, state.saga, state.busy) for state in states]
            await self._store.commit(Commit(slots=slots))
            after = ids[-1]

    def look_again(self) -> None:
        """Ask soon of all that is paused whether it is still full: its limit may be in force no longer."""
        self._deciding.freed |= self._paused

    async def attend(self) -> None:
        """Pause what is full, and start what may."""
        full, self._deciding.full = self._deciding.full, set()
        for saga in full & self._pausable:
            self._pause(saga)
        freed, self._deciding.freed = self._deciding.freed, set()
        for saga in sorted(freed & self._types):
            await self._open(saga)

    async def _open(self, saga: str) -> None:
        opened = await self._store.limits.open(saga, self._at_most, own=saga in self._limited)
        if opened.starts:
            await self._deciding.handle(opened.starts, (), NO_MOMENT)
        if opened.has_room:
            self._paused.discard(saga)
            self._inbox.resume(f"{START}{saga}")
        elif saga in self._pausable:
            self._pause(saga)

    def _pause(self, saga: str) -> None:
        self._paused.add(saga)
        self._inbox.pause(f"{START}{saga}")
