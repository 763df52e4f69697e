"""One action on many sagas, as a job that goes on after a crash where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from amends.domain.events import JsonObject


@dataclass(frozen=True, slots=True)
class Job:
    """A job and how far it is. `action` lacks the name of its request, `chosen_by` is the filter for people to read.

    `last` is when it last came to a result; None: never.
    """

    name: str
    action: JsonObject
    chosen_by: JsonObject
    created: datetime
    done: int
    refused: int
    left: int
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobItem:
    """One saga of a job. `result` is empty while it is still to be done; `reason` says why it was refused."""

    place: int
    saga_id: UUID
    result: Literal["", "done", "refused"] = ""
    reason: str = ""


class Jobs(Protocol):
    """Where jobs are kept, with the result of each item."""

    async def create(
        self, job: str, action: JsonObject, chosen_by: JsonObject, saga_ids: Sequence[UUID]
    ) -> bool:
        """Keep a new job, with its sagas in this order. False: there is one of this name, which stays as it is."""
        ...

    async def find(self, job: str) -> Job | None:
        """The job of this name."""
        ...

    async def latest(self, limit: int) -> Sequence[Job]:
        """The latest jobs, newest first."""
        ...

    async def items(
        self, job: str, *, after: int = 0, open_only: bool = False, limit: int = 500
    ) -> Sequence[JobItem]:
        """Its items behind this place, in their order; `open_only`: those that are still to be done."""
        ...

    async def settle(self, job: str, item: JobItem) -> None:
        """Keep the result of an item that had none."""
        ...

    async def choose(
        self, saga: str | None, definition: int | None, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """Ids of unfinished sagas of this type and version (None: any), in the order of ids."""
        ...
