"""Services that answer every command of some definitions, well or badly, and note each effect beside its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from amends.domain import wire
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.messages import Command, Event
from amends.domain.wire import Direction
from amends.participant.errors import Failed, Rejected
from amends.participant.handlers import Handler, Handlers
from amends.participant.requests import Request
from amends.testing.invariants import Deed, Fact
from amends.testing.services import Connection
from amends.testing.simulation.faults import Chance, Fault
from amends.testing.simulation.world import every

_STUBBORN: Final = 0.5
"""How often a no is repeated whatever is asked again."""


class Services(Handlers):
    """The handlers of all commands of these definitions, but those of foreign services, as one participant.

    A step may have several commands and one compensation; those of another service than the compensation's are left
    unanswered, as by a service that nobody has connected yet. `action` tells which forward command opened a key.
    """

    def __init__(
        self, definitions: Iterable[AnyDefinition], chance: Chance, action: Callable[[str], str]
    ) -> None:
        super().__init__()
        self._chance = chance
        self._action = action
        self._commands: dict[str, type[Command[Any]]] = {}
        self._answered: set[str] = set()
        self._stubborn: set[tuple[str, str]] = set()
        for definition in definitions:
            if isinstance(definition, ManagerDefinition):
                self._answer(definition.sends.values(), ())
                continue
            for step in definition.steps:
                if step.forward.foreign is None:
                    undoing = step.compensation.commands if step.compensation else ()
                    self._answer(step.forward.commands, undoing)

    def subjects(self) -> list[str]:
        """The subjects of all commands that are answered."""
        return sorted(self._answered)

    def find(self, request: Request) -> Handler:
        """A handler that knows the key which it works on: it notes its effects under it."""
        undoes = None
        if request.direction is Direction.COMPENSATE:
            undoes = self._commands[self._action(request.forward_key)]
        handler = Handler(self._commands[request.subject], undoes, _unbound)

        # A function, whose name is told where it breaks, and is the same in every process.
        async def run(command: object, tx: Any) -> Event:
            return await self._run(request, handler, tx)

        return replace(handler, run=run)

    def _answer(self, doing: Iterable[type[Command[Any]]], undoing: Iterable[type[Command[Any]]]) -> None:
        services = {_service(command) for command in undoing}
        for command in (*doing, *undoing):
            self._commands[command.subject] = command
            if not services or _service(command) in services:
                self._answered.add(command.subject)

    async def _run(self, request: Request, handler: Handler, tx: Any) -> Event:
        connection: Connection = tx
        await connection.process.gate("service.handler")
        if self._refuses(request):
            raise Rejected("no", "the dice say no")
        if self._chance.strikes(Fault.SERVICE, 0.3):
            raise Failed("later", "the dice say not now")
        deed = Deed.UNDONE if handler.undoes else Deed.DONE
        connection.effects.append(Fact(UUID(request.forward_key), deed))
        await connection.process.gate("service.handled")
        if self._chance.strikes(Fault.SERVICE, 0.2):
            raise RuntimeError("the dice break the handler after its work")
        return handler.command.reply_type().model_validate(every(handler.command.reply_type())[0])

    def _refuses(self, request: Request) -> bool:
        """Some say no; half of them stay with it, as a declined card does, for as long as anything goes wrong."""
        asked = (request.subject, request.message.headers[wire.SAGA_ID])
        if asked in self._stubborn and not self._chance.calm:
            return True
        refuses = self._chance.strikes(Fault.SERVICE, 0.5)
        if refuses and self._chance.dice.random() < _STUBBORN:
            self._stubborn.add(asked)
        return refuses


async def _unbound(command: object, tx: object) -> Event:
    raise AssertionError("bound to its request by `find`")


def _service(command: type[Command[Any]]) -> str:
    return command.subject.partition(".")[0]
