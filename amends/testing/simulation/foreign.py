"""Foreign services: they keep no promises. What they do, they do for each command that reaches them, however late."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from amends.domain import wire
from amends.domain.definition import Definition
from amends.domain.foreign import ForeignAnswers
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.wire import Direction, Outcome
from amends.infrastructure.ports import Incoming, Outgoing
from amends.testing.simulation.faults import Chance, Fault

_LATE: Final = 100.0
"""Seconds after which a late event is published, at the most."""


@dataclass(frozen=True)
class _Asked:
    """What a command asks for: `thing` is the subject of the command that does it."""

    thing: str
    direction: Direction
    answers: ForeignAnswers


class ForeignServices:
    """Each can do one thing for each key, and undo it. To do it again, or to undo what is not done, is harmless.

    What they did and what they tell of it is one transaction of theirs; `tell` publishes after a while, for certain.
    """

    def __init__(
        self,
        definitions: Iterable[AnyDefinition],
        namespace: str,
        chance: Chance,
        tell: Callable[[timedelta, Outgoing], None],
    ) -> None:
        self._namespace = namespace
        self._chance = chance
        self._tell = tell
        self._told = 0
        self._done: set[tuple[str, str]] = set()
        self._asked: dict[str, _Asked] = {}
        for definition in definitions:
            if isinstance(definition, Definition):
                self._learn(definition)

    @property
    def subjects(self) -> list[str]:
        """The subjects of the commands that they take."""
        return sorted(self._asked)

    def has_done(self, thing: str, key: str) -> bool:
        """Whether it is done, and not undone since."""
        return (thing, key) in self._done

    def handle(self, message: Incoming) -> None:
        """Do what the command asks for, or not, and say so."""
        subject = message.subject.removeprefix(wire.command_subject(self._namespace, ""))
        asked, key = self._asked[subject], json.loads(message.body)["key"]
        outcome = self._outcome(asked.direction)
        if outcome is Outcome.SUCCEEDED:
            (self._done.add if asked.direction is Direction.FORWARD else self._done.discard)(
                (asked.thing, key)
            )
        for each, meaning in asked.answers.meanings:
            if meaning is outcome:
                self._say(each.event.subject, key)

    def _learn(self, definition: Definition) -> None:
        for step in definition.steps:
            for direction in (Direction.FORWARD, Direction.COMPENSATE):
                asking = step.forward if direction is Direction.FORWARD else step.compensation
                if asking is not None and asking.foreign is not None:
                    thing = step.forward.commands[0].subject
                    self._asked[asking.commands[0].subject] = _Asked(thing, direction, asking.foreign)

    def _outcome(self, direction: Direction) -> Outcome:
        """What becomes of a command; `timed_out`: nothing, and nobody says so."""
        if not self._chance.strikes(Fault.SERVICE):
            return Outcome.SUCCEEDED
        if direction is Direction.COMPENSATE:
            return Outcome.TIMED_OUT
        return self._chance.dice.choice((Outcome.REJECTED, Outcome.FAILED, Outcome.TIMED_OUT))

    def _say(self, subject: str, key: str) -> None:
        """Publish the event, perhaps late, and perhaps twice."""
        for _ in range(2 if self._chance.strikes(Fault.DUPLICATE) else 1):
            late = self._chance.dice.uniform(0, _LATE) if self._chance.strikes(Fault.DELAY) else 0.0
            self._told += 1
            identity = f"abroad-{self._told}"
            place = wire.event_subject(self._namespace, subject)
            body = json.dumps({"key": key}).encode()
            self._tell(timedelta(seconds=late), Outgoing(identity, place, {wire.CE_ID: identity}, body))
