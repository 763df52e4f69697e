"""The world outside of a simulation: events that start sagas, and those that sagas wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from amends.domain import wire
from amends.domain.choreography.chain import Chain
from amends.domain.correlation import Correlation
from amends.domain.definition import Definition
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.messages import Event
from amends.infrastructure.chance import Dice
from amends.infrastructure.ports import Outgoing
from amends.testing.exploring.samples import samples
from amends.testing.simulation.faults import Chance, Fault

_COMES: Final = 0.8
"""How often an event comes that a saga may wait for."""

_EARLIEST: Final = -20.0
_LATEST: Final = 120.0
"""Seconds after the start at which such an event comes."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A message that comes at its time; one that is `certain` is published again when the broker lost it."""

    at: timedelta
    message: Outgoing
    certain: bool = True


class World:
    """What is published, and when."""

    def __init__(self, definitions: Sequence[AnyDefinition], namespace: str, chance: Chance) -> None:
        self._definitions = definitions
        self._namespace = namespace
        self._chance = chance
        self._dice: Dice = chance.dice
        self._told = 0

    def occasions(self, sagas: int, within: timedelta) -> list[Occasion]:
        """Starts for so many sagas, and what else happens to them."""
        made: list[Occasion] = []
        for number in range(sagas):
            definition = self._definitions[number % len(self._definitions)]
            at = timedelta(seconds=self._dice.uniform(0, within.total_seconds()))
            made += self._starts(definition, number, at)
            made += self._events(number, at)
        return made

    def last_word(self, sagas: int, at: timedelta) -> list[Occasion]:
        """Every event that a saga may still wait for, once for each of its steps that waits."""
        waits = max((_waits(definition) for definition in self._told_by_the_world()), default=0)
        moments = [at + timedelta(seconds=30 * again) for again in range(waits)]
        return [
            Occasion(later, self._event(each, number))
            for number in range(sagas)
            for later in moments
            for each in self._awaited()
        ]

    def _starts(self, definition: AnyDefinition, number: int, at: timedelta) -> Iterator[Occasion]:
        kind, key = self._dice.choice(_starting(definition))
        yield Occasion(at, self._message(kind, key, number, f"start-{number}"))
        if self._chance.strikes(Fault.PEOPLE, 0.5):
            again = self._dice.choice((f"start-{number}", f"start-{number}-other"))
            yield Occasion(at * 1.1, self._message(kind, key, number, again))

    def _events(self, number: int, start: timedelta) -> Iterator[Occasion]:
        for each in self._awaited():
            if self._dice.random() < _COMES:
                later = timedelta(seconds=self._dice.uniform(_EARLIEST, _LATEST))
                yield Occasion(max(timedelta(0), start + later), self._event(each, number))

    def _awaited(self) -> list[Correlation]:
        """What nobody answers: the world must tell it. One saga type's event may be another's as well."""
        heard: dict[str, Correlation] = {}
        for definition in self._told_by_the_world():
            heard |= {
                each.event.subject: each
                for each in definition.listens
                if not _is_answer(definition, each.event.subject)
            }
        return list(heard.values())

    def _told_by_the_world(self) -> Iterator[AnyDefinition]:
        """Those whose sagas wait for something from outside; what a choreography hears its services tell."""
        return (each for each in self._definitions if chain_of(each) is None)

    def _event(self, correlation: Correlation, number: int) -> Outgoing:
        self._told += 1
        identity = f"event-{self._told}"
        header = {} if correlation.key else {correlation.header or wire.KEY: f"k{number + 1}"}
        return self._message(correlation.event, correlation.key, number, identity, header)

    def _message(
        self,
        kind: type[Event],
        key: Sequence[str],
        number: int,
        identity: str,
        headers: Mapping[str, str] | None = None,
    ) -> Outgoing:
        fields = {name: _value(kind, name, number) for name in key}
        body = json.dumps({**self._dice.choice(every(kind)), **fields}).encode()
        place = wire.event_subject(self._namespace, kind.subject)
        return Outgoing(identity, place, {wire.CE_ID: identity, **(headers or {})}, body)


def chain_of(definition: AnyDefinition) -> Chain | None:
    """The chain, where the definition is a choreography."""
    return definition.chain if isinstance(definition, Definition) else None


@lru_cache
def every(kind: type[BaseModel]) -> Sequence[dict[str, Any]]:
    """Messages of this type as JSON, the plainest first."""
    return samples(kind)


def _is_answer(definition: AnyDefinition, subject: str) -> bool:
    """A service tells it, and nobody else."""
    foreign = isinstance(definition, Definition) and definition.asks(subject) is not None
    return foreign or subject in definition.reply_subjects()


def _starting(definition: AnyDefinition) -> list[tuple[type[Event], tuple[str, ...]]]:
    if isinstance(definition, Definition):
        return [(definition.start, definition.key)]
    return [(each.event, each.key) for each in definition.starts]


def _waits(definition: AnyDefinition) -> int:
    return (
        sum(step.wait is not None for step in definition.steps) if isinstance(definition, Definition) else 1
    )


def _value(kind: type[Event], name: str, number: int) -> object:
    """A value of the key's field that no other start has."""
    return number + 1 if kind.model_fields[name].annotation is int else f"k{number + 1}"
