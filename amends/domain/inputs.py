"""What a saga can be told: the inputs of `decide`."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any, TypeAlias

from amends.domain.events import JsonObject
from amends.domain.told import Admit, Arrival, Reply, Start, Tick
from amends.domain.value import value
from amends.domain.wire import Direction, Outcome


@value(frozen=True, slots=True)
class Action:
    """What an operator asks of a saga, and why. `by` is who; without, whoever decides it is told as the doer.

    `message_id` names the request: the same request again changes nothing.
    """

    message_id: str
    reason: str
    by: str = field(default="", kw_only=True)
    trace: str = field(default="", kw_only=True)


@value(frozen=True, slots=True)
class Cancel(Action):
    """Undo the saga, or close its pivot where that is out."""


@value(frozen=True, slots=True)
class Suspend(Action):
    """Send nothing any more, and let no timer fire; answers are still recorded."""


@value(frozen=True, slots=True)
class Resume(Action):
    """Go on, and decide all that came while it was suspended."""


@value(frozen=True, slots=True)
class Retry(Action):
    """Send the next attempt of this step now; without a step, of all that wait for their next attempt."""

    step: str = ""


@value(frozen=True, slots=True)
class Skip(Action):
    """Go on behind this step without it."""

    step: str = field(kw_only=True)


@value(frozen=True, slots=True)
class Settle(Action):
    """This is what became of the step; with `direction` compensate: what it did is undone, or needs no undoing.

    `outcome` is `succeeded` or `rejected`; `reply` what the service would have answered, where it succeeded.
    """

    step: str = field(kw_only=True)
    outcome: Outcome = field(kw_only=True)
    direction: Direction = field(default=Direction.FORWARD, kw_only=True)
    reply: JsonObject = field(default_factory=dict[str, Any], kw_only=True)


@value(frozen=True, slots=True)
class Abandon(Action):
    """End the saga as failed, whatever is left to do or to undo."""


@value(frozen=True, slots=True)
class Release(Action):
    """End the saga's quarantine, and try again what is held for it."""


@value(frozen=True, slots=True)
class Migrate(Action):
    """Go on under this version of the definition. It is the one to decide this input by."""

    to: int = field(kw_only=True)


@value(frozen=True, slots=True)
class Reschedule(Action):
    """Let the timer of this step, or without one the deadline, fall due at `due`; None: never."""

    step: str = ""
    due: datetime | None = None


Input: TypeAlias = Start | Reply | Arrival | Tick | Admit | Action
