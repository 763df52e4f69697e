"""The services of choreographies: they react as they declare it, and note each effect beside its row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from amends.domain.correlation import fields_of, key_of
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.messages import Event
from amends.participant import Participant
from amends.participant.errors import Failed, Rejected
from amends.participant.reactions import Reaction, Reactions
from amends.testing.invariants import Deed
from amends.testing.services import Connection, ServiceDatabase
from amends.testing.simulation.faults import Chance, Fault
from amends.testing.simulation.scenarios import reacting
from amends.testing.simulation.world import every


@dataclass(frozen=True, slots=True)
class Effect:
    """What a reaction did, or undid; `row` is the one that it is about."""

    row: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class Played:
    """A reaction of a service, and the type of the event that it returns, if any."""

    reaction: Reaction
    returns: type[Event] | None

    def row(self, key: str) -> str:
        """The row that it is about, for the chain of this key."""
        return f"{self.reaction.forward_action}/{key}"


@dataclass(frozen=True, slots=True)
class ReactingService:
    """A service of a choreography, with its database."""

    name: str
    played: Sequence[Played]
    database: ServiceDatabase

    def to(self, subject: str) -> Iterator[Played]:
        """Its reactions to events on this subject."""
        return (each for each in self.played if each.reaction.subject == subject)

    def reactions(self, chance: Chance) -> Reactions:
        """The same, with handlers that do nothing but note that they did, if the dice let them."""
        made = Reactions()
        for each in self.played:
            made.add(replace(each.reaction, run=_handler(each, chance)))
        return made


def reacting_services(
    definitions: Sequence[AnyDefinition], package: str, database: Callable[[], ServiceDatabase]
) -> list[ReactingService]:
    """The services of the choreographies among these definitions."""
    return [
        ReactingService(each.name, [_played(reaction) for reaction in each.reactions], database())
        for each in _participants(definitions, package)
    ]


def _participants(definitions: Sequence[AnyDefinition], package: str) -> list[Participant[Any]]:
    found = {each.name: each for definition in definitions for each in reacting(definition, package)}
    return list(found.values())


def _played(reaction: Reaction) -> Played:
    returns = get_type_hints(reaction.run)["return"]
    return Played(reaction, returns if isinstance(returns, type) and issubclass(returns, Event) else None)


def _handler(played: Played, chance: Chance) -> Callable[[Any, Any], Awaitable[Event | None]]:
    reaction = played.reaction
    deed = Deed.UNDONE if reaction.undoes else Deed.DONE

    async def run(event: Event, tx: Any) -> Event | None:
        connection: Connection = tx
        key = key_of(event, reaction.key)
        await connection.process.gate("service.handler")
        if reaction.rejected and chance.strikes(Fault.SERVICE, 0.5):
            raise Rejected("no", "the dice say no")
        if chance.strikes(Fault.SERVICE, 0.3):
            raise Failed("later", "the dice say not now")
        connection.effects.append(Effect(played.row(key), deed))
        await connection.process.gate("service.handled")
        if chance.strikes(Fault.SERVICE, 0.2):
            raise RuntimeError("the dice break the handler after its work")
        if played.returns is None:
            return None
        return played.returns.model_validate({**every(played.returns)[0], **fields_of(key, reaction.key)})

    return run
