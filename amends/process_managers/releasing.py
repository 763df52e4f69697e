"""Lets held commands leave, as the limits of their participants allow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from amends.domain.limits import Limit
from amends.infrastructure.limits import Limits
from amends.process_managers.deciding import Deciding

_SOON: Final = timedelta(milliseconds=20)
"""How soon to ask again where the database's clock is behind what this worker takes it for."""


class Releasing:
    """Asks the store for what may leave, and has it sent: when a command was held or answered, when a second or a
    pause is over, and now and then for what another worker left behind.

    `limits` and `types` are what this worker was given: of participants, and how many sagas of a type run at once.
    """

    def __init__(
        self,
        store: Limits,
        deciding: Deciding,
        limits: Collection[Limit],
        types: Mapping[str, int],
        at_most: int,
        probe: Callable[[str], None],
    ) -> None:
        self._store = store
        self._deciding = deciding
        self._limits = limits
        self._types = types
        self._at_most = at_most
        self._probe = probe
        self._again: dict[str, datetime] = {}

    @property
    def again(self) -> datetime | None:
        """When something may leave although nothing comes."""
        return min(self._again.values(), default=None)

    async def declare(self, *, anew: bool) -> frozenset[str]:
        """Tell which limits this worker has, learn which are in force, and look at all of them soon.

        Returns the saga types that have one by now and had none.
        """
        before = self._deciding.limits.types if not anew else (await self._store.in_force()).types
        in_force = await self._store.declare(self._limits, self._types, anew=anew)
        self._deciding.limits = in_force
        self._deciding.touched |= in_force.known
        self._deciding.freed |= in_force.types | in_force.waiting
        return in_force.types & self._types.keys() - before

    async def attend(self, now: datetime) -> None:
        """Send what may leave by now."""
        touched, self._deciding.touched = self._deciding.touched, set()
        due = {participant for participant, again in self._again.items() if again <= now}
        for participant in sorted((touched | due) & self._deciding.limits.known):
            await self._release(participant, now)

    async def _release(self, participant: str, now: datetime) -> None:
        own = any(limit.participant == participant for limit in self._limits)
        releases = await self._store.release(participant, self._at_most, own=own)
        self._again.pop(participant, None)
        if releases.again is not None:
            soonest = now if releases.commands else now + _SOON
            self._again[participant] = max(releases.again, soonest)
        if releases.commands:
            self._probe("released")
            await self._deciding.admit(releases.commands)
