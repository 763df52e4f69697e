"""What an operator can do to a saga, from a program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from amends.domain.inputs import (
    Abandon,
    Action,
    Cancel,
    Migrate,
    Release,
    Reschedule,
    Resume,
    Retry,
    Settle,
    Skip,
    Suspend,
)
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.clock import fresh_name
from amends.process_managers.choosing import Choice

__all__ = [
    "Abandon",
    "Cancel",
    "Choice",
    "Migrate",
    "Operating",
    "Release",
    "Reschedule",
    "Resume",
    "Retry",
    "Settle",
    "Skip",
    "Suspend",
]


class Operating(ABC):
    """Actions on one saga. Each is an event in its history, with who (`by`; else the setting `operator`) and why.

    Every one of them raises `ActionRefused`, which says why, where it is impossible in the saga's present state;
    then nothing was changed. All but suspend, abandon and release need a running worker that holds the saga's version.
    """

    @abstractmethod
    async def act(self, saga_id: UUID, action: Action) -> None:
        """Do this. The same action again, known by its `message_id`, changes nothing."""

    async def suspend(self, saga_id: UUID, *, reason: str, by: str = "") -> None:
        """Send nothing any more and let no timer fire, until it is resumed; answers are still recorded."""
        await self.act(saga_id, Suspend(request("suspend"), reason, by=by))

    async def resume(self, saga_id: UUID, *, reason: str, by: str = "") -> None:
        """Go on, and decide all that came while it was suspended."""
        await self.act(saga_id, Resume(request("resume"), reason, by=by))

    async def retry(self, saga_id: UUID, step: str = "", *, reason: str, by: str = "") -> None:
        """Send the next attempt of this step now; without a step, of all that wait for their next attempt."""
        await self.act(saga_id, Retry(request("retry"), reason, step, by=by))

    async def skip(self, saga_id: UUID, step: str, *, reason: str, by: str = "") -> None:
        """Go on behind this step. If a command was recorded it may have happened, and counts so."""
        await self.act(saga_id, Skip(request("skip"), reason, step=step, by=by))

    async def settle(
        self,
        saga_id: UUID,
        step: str,
        outcome: Literal["succeeded", "rejected"],
        *,
        reason: str,
        compensation: bool = False,
        reply: Mapping[str, Any] | None = None,
        by: str = "",
    ) -> None:
        """Say what became of the step, or, with `compensation`, that what it did is undone.

        `reply` is what the service would have answered, for the steps that ask for it.
        """
        action = Settle(
            request("settle"),
            reason,
            step=step,
            outcome=Outcome(outcome),
            direction=Direction.COMPENSATE if compensation else Direction.FORWARD,
            reply=dict(reply or {}),
            by=by,
        )
        await self.act(saga_id, action)

    async def cancel(self, saga_id: UUID, *, reason: str, by: str = "") -> None:
        """Undo the saga, or close its pivot where that is out; refused after the pivot."""
        await self.act(saga_id, Cancel(request("cancel"), reason, by=by))

    async def abandon(self, saga_id: UUID, *, reason: str, by: str = "") -> None:
        """End the saga as failed; the event lists every effect left and every key unresolved."""
        await self.act(saga_id, Abandon(request("abandon"), reason, by=by))

    async def migrate(self, saga_id: UUID, to: int, *, reason: str, by: str = "") -> None:
        """Let the saga go on under this version, where its author wrote how."""
        await self.act(saga_id, Migrate(request("migrate"), reason, to=to, by=by))

    async def release(self, saga_id: UUID, *, reason: str, by: str = "") -> None:
        """End the quarantine of a saga that could not be decided; what is held for it is tried again, in order."""
        await self.act(saga_id, Release(request("release"), reason, by=by))

    async def reschedule(
        self, saga_id: UUID, step: str = "", *, due: datetime | None, reason: str, by: str = ""
    ) -> None:
        """Let the timer of this step, or without one the deadline, fall due then; None: never."""
        await self.act(saga_id, Reschedule(request("reschedule"), reason, step, due, by=by))


def request(action: str) -> str:
    """The name of a new request for this action."""
    return f"{action}-{fresh_name()}"
