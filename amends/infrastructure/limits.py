"""What is kept in the store of limits: which commands are held or out, and which sagas run at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from amends.domain.gate import Gate
from amends.domain.limits import Limit

if TYPE_CHECKING:
    from amends.infrastructure.ports import Incoming

IN_FORCE: Final = timedelta(minutes=1)
"""For how long a limit stands of which no worker has told that it has it."""

LEASE: Final = timedelta(seconds=10)
"""How long a worker has to record that a command is released, or a saga started, before another one may do so."""

WAITS: Final = "limit"
"""Why a start is held for which there is no slot."""

GRACE: Final = timedelta(minutes=1)
"""For how long a command is outstanding whose time is over while nothing of that is recorded: its saga is suspended, in
quarantine, or held by no worker."""


@dataclass(frozen=True, slots=True)
class LimitedCommand:
    """A command of a participant that has, or had, limits. `expires` is None while it is held."""

    command_id: UUID
    participant: str
    backwards: bool
    since: datetime
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class LimitedSaga:
    """What a commit leaves of a saga's limited commands: those that are held or out, and how others ended.

    `failed` tells for each that ended whether it failed or was not answered in time. Where it is `suspended`,
    nothing of it may leave.
    """

    saga_id: UUID
    commands: Sequence[LimitedCommand]
    failed: Mapping[UUID, bool]
    suspended: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """Whether a saga of a type that has a limit is among those that run at once."""

    saga_id: UUID
    saga: str
    busy: bool


@dataclass(frozen=True, slots=True)
class InForce:
    """The participants and saga types that have limits now.

    `known` are all participants that ever had, `waiting` the types of which starts wait, whether they have or not.
    """

    participants: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Releases:
    """Commands that may leave, each with its saga; `again` is when to ask again though nothing comes, None: never."""

    commands: Sequence[tuple[UUID, UUID]] = ()
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The sagas that may start, and the types of which no other may."""

    sagas: frozenset[UUID] = frozenset()
    full: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Opened:
    """Starts that waited and may be handled now, each with its slot; and whether newcomers may start beside them."""

    starts: Sequence[Incoming] = ()
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class ParticipantStatus:
    """How a participant's limits stand. `limit` is None where none is in force."""

    participant: str
    limit: Limit | None
    gate: Gate
    outstanding: int
    held: int
    held_since: datetime | None


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """How the limit of a saga type stands: `at_once` may run, `busy` do, and `waiting` starts wait for one to end."""

    saga: str
    at_once: int
    busy: int
    waiting: int


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """How all limits stand."""

    participants: Sequence[ParticipantStatus] = field(default=())
    types: Sequence[TypeStatus] = field(default=())


class Limits(Protocol):
    """The counts of what runs and is outstanding, over all workers. What a commit changes in them comes with it."""

    async def declare(self, limits: Collection[Limit], types: Mapping[str, int], *, anew: bool) -> InForce:
        """A worker has these limits, of participants and of saga types (how many run at once).

        `anew` where it starts: then they replace those of others. It is told every few seconds that it still has
        them; a limit that no worker has any more is in force no longer.
        """
        ...

    async def in_force(self) -> InForce:
        """What has limits now."""
        ...

    async def release(self, participant: str, at_most: int, *, own: bool = False) -> Releases:
        """Let held commands of the participant leave, as its limits allow: what goes back first, then the oldest.

        `own`: who asks has limits for it, so that they stand however long ago somebody told so. Each command stays
        marked for `LEASE`; a commit that says that it is out must come in that time, or it is released once more.
        """
        ...

    async def reserve(self, starts: Mapping[UUID, str]) -> Reserved:
        """Reserve slots for these new sagas, each given with its type, as far as there are any.

        Who waits already goes before. A saga that runs, or has a slot, needs none. A slot in which nothing has
        started within `LEASE` is free again.
        """
        ...

    async def open(self, saga: str, at_most: int, *, own: bool = False) -> Opened:
        """Reserve slots of this type for starts that wait, oldest first. They wait on until a commit has them.

        `own` as for `release`.
        """
        ...

    async def status(self) -> LimitStatus:
        """How all limits stand, in the order of names."""
        ...
