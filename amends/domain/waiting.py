"""What a step waits for: the events that end the wait, which of them say no, and what silence means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from amends.domain.correlation import Correlation
from amends.domain.events import JsonObject
from amends.domain.wire import Outcome


class Silence(StrEnum):
    """What a wait's timeout does after the pivot, where a saga can no longer turn back."""

    SKIP = "skip"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a step waits.

    `event` ends the wait well, unless `rejected_if` says of it that it means no; `rejection` always means no.
    Either counts only `where` the saga says that it is the right one. Silence for `timeout` counts as a no,
    except after the pivot, where `on_timeout` tells.
    """

    event: Correlation
    timeout: timedelta
    rejection: Correlation | None = None
    where: Callable[[Any, Any], bool] | None = None
    rejected_if: Callable[[Any], bool] | None = None
    on_timeout: Silence | None = None

    @property
    def correlations(self) -> tuple[Correlation, ...]:
        """How the events find their saga."""
        return (self.event,) if self.rejection is None else (self.event, self.rejection)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of the events, without namespace."""
        return tuple(each.event.subject for each in self.correlations)

    def hears(self, view: Any, subject: str, body: JsonObject) -> Outcome | None:
        """What this event means to the step: `succeeded`, `rejected`, or nothing. `view` is the saga's `self`."""
        kind = next((each.event for each in self.correlations if each.event.subject == subject), None)
        if kind is None:
            return None
        event = kind.model_validate_json(to_json(body))
        if self.where is not None and not self.where(view, event):
            return None
        says_no = kind is not self.event.event or (self.rejected_if is not None and self.rejected_if(event))
        return Outcome.REJECTED if says_no else Outcome.SUCCEEDED

    def shape(self) -> JsonObject:
        """This wait as JSON."""
        shape: JsonObject = {
            "type": self.event.event.__name__,
            "subject": self.event.event.subject,
            "timeout": self.timeout.total_seconds(),
        }
        if self.rejection is not None:
            shape["rejection"] = {
                "type": self.rejection.event.__name__,
                "subject": self.rejection.event.subject,
            }
        if self.on_timeout is not None:
            shape["on_timeout"] = str(self.on_timeout)
        return shape
