"""Which limits a simulated system has: in two out of three none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from amends.domain.definition import Definition
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.limits import Breaker, Limit
from amends.domain.wire import service
from amends.infrastructure.chance import Dice
from amends.testing.simulation.world import chain_of

_SELDOM: Final = 1 / 3


def limited(dice: Dice, definitions: Sequence[AnyDefinition]) -> tuple[list[AnyDefinition], list[Limit]]:
    """The definitions, some with a limit of their own, and limits of some of their participants."""
    if dice.random() > _SELDOM:
        return list(definitions), []
    types = [
        replace(each, limit=dice.choice((None, 1, 3))) if _may_be_limited(each) else each
        for each in definitions
    ]
    services = sorted({name for each in definitions for name in _services(each)})
    return types, [_limit(dice, name) for name in services if dice.random() < 1 / 2]


def _may_be_limited(definition: AnyDefinition) -> bool:
    """It has no limit of its own; nobody limits a choreography, which is only observed."""
    return definition.limit is None and chain_of(definition) is None


def _limit(dice: Dice, participant: str) -> Limit:
    breaker = Breaker(
        outcomes=dice.choice((2, 5)),
        failure_rate=dice.choice((0.5, 1.0)),
        pause=timedelta(seconds=dice.choice((1, 20))),
        probes=dice.choice((1, 2)),
    )
    return Limit(
        participant,
        outstanding=dice.choice((None, 1, 3)),
        per_second=dice.choice((None, 1, 5)),
        breaker=dice.choice((None, breaker)),
    )


def _services(definition: AnyDefinition) -> Iterator[str]:
    if not isinstance(definition, Definition):
        yield from (service(subject) for subject in definition.sends)
        return
    for step in definition.steps:
        for asking in (step.forward, step.compensation):
            if asking is not None:
                yield from (service(command.subject) for command in asking.commands)
