"""Services that know nothing of the wire contract, and keep none of its promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from amends.domain.correlation import Correlation, Missing, correlation
from amends.domain.errors import DefinitionError
from amends.domain.events import JsonObject
from amends.domain.messages import Command, Event
from amends.domain.wire import Outcome


@dataclass(frozen=True, slots=True)
class Foreign:
    """Says that a step's service is foreign: it may do a thing twice, or late, and cannot be asked to close it.

    It answers by events. The command's reply type says that it succeeded; `failed` are events that say that an
    attempt took no effect, `rejected` those that say that it never will. `key` names the fields that hold the
    saga's key in all of them; without it the header `Amends-Key` does.
    """

    key: str | Sequence[str] = ()
    rejected: Sequence[type[Event]] = ()
    failed: Sequence[type[Event]] = ()


@dataclass(frozen=True, slots=True)
class ForeignAnswers:
    """The events by which a foreign service answers, each with what it means."""

    meanings: tuple[tuple[Correlation, Outcome], ...]

    @property
    def correlations(self) -> Iterator[Correlation]:
        """How the events find their saga."""
        return (each for each, _ in self.meanings)

    def meaning(self, subject: str) -> Outcome | None:
        """What an event on this subject means; None: it is no answer."""
        return next((outcome for each, outcome in self.meanings if each.event.subject == subject), None)

    def shape(self) -> list[JsonObject]:
        """These answers as JSON."""
        return [
            {"type": each.event.__name__, "subject": each.event.subject, "outcome": str(outcome)}
            for each, outcome in self.meanings
        ]


def foreign_answers(where: str, foreign: Foreign, commands: Sequence[type[Command[Any]]]) -> ForeignAnswers:
    """What the commands' service answers. Raises `DefinitionError`, which tells the mend."""
    replies = [command.reply_type() for command in commands]
    nameless = [command.__name__ for command in commands if not command.reply_type().subject]
    if nameless:
        raise DefinitionError(
            f"{where}: expected the command of a foreign service to name the event that says it succeeded, such "
            f"as class {nameless[0]}(Command[ItsEvent]); got none"
        )
    told = [
        (Outcome.SUCCEEDED, replies),
        (Outcome.REJECTED, foreign.rejected),
        (Outcome.FAILED, foreign.failed),
    ]
    return ForeignAnswers(
        tuple(
            (correlation(where, event, foreign.key, missing=Missing.IGNORE), outcome)
            for outcome, events in told
            for event in events
        )
    )
