"""Services that answer every command of some definitions, well or badly, and note each effect beside its key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from amends.domain.definition import Definition
from amends.domain.messages import Command, Event
from amends.infrastructure.chance import Dice
from amends.participant.errors import Failed, Rejected
from amends.participant.handlers import Handler, Handlers
from amends.participant.requests import Request
from amends.testing.exploring.samples import samples
from amends.testing.invariants import Deed, Fact
from amends.testing.services import Connection
from amends.testing.simulation.faults import Chance, Fault


class Services(Handlers):
    """The handlers of all commands of these definitions, as one participant.

    A step may have several commands and one compensation; the compensation undoes the one of its own service, and
    those of other services are left unanswered, as by a service that nobody has connected yet.
    """

    def __init__(self, definitions: Iterable[Definition], chance: Chance) -> None:
        super().__init__()
        self._chance = chance
        self._known: set[tuple[str, bool]] = set()
        for definition in definitions:
            for step in definition.steps:
                undoing = step.compensation.commands if step.compensation else ()
                answering = [each for each in step.forward.commands if _may_answer(each, undoing)]
                for command in answering:
                    self._add(command, None)
                for command in undoing:
                    self._add(command, answering[0])

    def find(self, request: Request) -> Handler:
        """The handler, knowing the key that it works on: it notes its effects under it."""
        handler = super().find(request)
        return replace(handler, run=partial(self._run, request, handler))

    def _add(self, command: type[Command[Any]], undoes: type[Command[Any]] | None) -> None:
        known = (command.subject, undoes is None)
        if known not in self._known:
            self._known.add(known)
            self.add(Handler(command, undoes, _unbound))

    async def _run(self, request: Request, handler: Handler, command: object, tx: Any) -> Event:
        connection: Connection = tx
        await connection.process.gate("service.handler")
        if self._chance.strikes(Fault.SERVICE, 0.5):
            raise Rejected("no", "the dice say no")
        if self._chance.strikes(Fault.SERVICE, 0.3):
            raise Failed("later", "the dice say not now")
        deed = Deed.UNDONE if handler.undoes else Deed.DONE
        connection.effects.append(Fact(UUID(request.forward_key), deed))
        await connection.process.gate("service.handled")
        if self._chance.strikes(Fault.SERVICE, 0.2):
            raise RuntimeError("the dice break the handler after its work")
        return handler.command.reply_type().model_validate(_plainest(handler.command.reply_type()))


async def _unbound(command: object, tx: object) -> Event:
    raise AssertionError("bound to its request by `find`")


def _may_answer(command: type[Command[Any]], undoing: Sequence[type[Command[Any]]]) -> bool:
    service = command.subject.partition(".")[0]
    return not undoing or service in {each.subject.partition(".")[0] for each in undoing}


def body(dice: Dice, kind: type[BaseModel], **fields: object) -> bytes:
    """A message of this type as JSON, some of its choices made by the dice, with these fields."""
    return json.dumps({**dice.choice(_every(kind)), **fields}).encode()


@lru_cache
def _every(kind: type[BaseModel]) -> Sequence[dict[str, Any]]:
    return samples(kind)


def _plainest(kind: type[BaseModel]) -> dict[str, Any]:
    return _every(kind)[0]
