"""Handlers by what they answer, and how they are declared."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from psycopg import AsyncConnection

from amends.domain import wire
from amends.domain.errors import DefinitionError
from amends.domain.messages import Command, Done, Event
from amends.domain.wire import Direction, Outcome
from amends.participant.errors import HandlerBroken, Rejected, Undecodable
from amends.participant.promises import refusal
from amends.participant.requests import Request

Tx: TypeAlias = AsyncConnection
"""The connection that a handler works on, inside the transaction of the participant's own rows."""

C = TypeVar("C", bound=Command[Any])
E = TypeVar("E", bound=Event)
D = TypeVar("D", bound=Done | None)


class Handles(Protocol[E]):
    """What `Participant.handles` returns: takes a handler that answers with the command's reply."""

    def __call__(self, handler: Callable[[C, Tx], Awaitable[E]], /) -> Callable[[C, Tx], Awaitable[E]]:
        """Declare the handler; it stays the function that it is."""
        ...


class HandlesDone(Protocol):
    """The same for a command without a reply of its own: the handler may return `Done` or nothing."""

    def __call__(self, handler: Callable[[C, Tx], Awaitable[D]], /) -> Callable[[C, Tx], Awaitable[D]]:
        """Declare the handler; it stays the function that it is."""
        ...


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that does or undoes one command's work, and what it answers with."""

    command: type[Command[Any]]
    undoes: type[Command[Any]] | None
    run: Callable[[Any, Tx], Awaitable[Event | None]]

    @property
    def message(self) -> type[Command[Any]]:
        """What it is called with."""
        return self.command

    @property
    def subject(self) -> str:
        """The command's subject, without namespace."""
        return self.command.subject

    @property
    def reply_subject(self) -> str:
        """The subject of the reply event; nothing where the command names no reply."""
        return self.command.reply_type().subject

    @property
    def forward_action(self) -> str:
        """The subject of the forward command whose key decides."""
        return self.undoes.subject if self.undoes else self.command.subject

    def reply_body(self, reply: object) -> bytes:
        """What the handler returned, as it travels. Raises `HandlerBroken` for anything but the reply."""
        expected = self.command.reply_type()
        if reply is None and expected is Done:
            reply = Done()
        if not isinstance(reply, expected):
            raise HandlerBroken(
                f"{self.name}: expected {expected.__name__}, the reply of {self.command.__name__}; "
                f"got {type(reply).__name__}"
            )
        return reply.model_dump_json(by_alias=True).encode()

    def rejected_body(self, error: Rejected) -> bytes:
        """A no, as it travels. Raises `ValueError` where it cannot."""
        return refusal(Outcome.REJECTED, error.code, error.reason, error.details).body

    @property
    def name(self) -> str:
        """The function's name, for error texts."""
        return name_of(self.run)


class Handlers:
    """The handlers of one participant, each for one subject and purpose."""

    def __init__(self) -> None:
        self._doing: dict[str, Handler] = {}
        self._undoing: dict[str, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        yield from self._doing.values()
        yield from self._undoing.values()

    def add(self, handler: Handler) -> None:
        """Raises `DefinitionError` for a second handler of one kind, or one that is no coroutine function."""
        kinds = self._undoing if handler.undoes else self._doing
        for command in (handler.command, handler.undoes):
            if command is not None and not command.subject:
                raise DefinitionError(
                    f"{command.__name__}: expected a subject, as in "
                    f"class {command.__name__}(Command, subject='<service>.<action>'); it has none"
                )
        if not is_async(handler.run):
            raise DefinitionError(f"{handler.name}: expected an `async def` function as handler")
        if (taken := kinds.get(handler.subject)) is not None:
            raise DefinitionError(
                f"{handler.name}: {handler.subject} is handled by {taken.name}; one handler for each command"
            )
        kinds[handler.subject] = handler

    def subjects(self) -> list[str]:
        """The subjects, without namespace, of all commands handled."""
        return sorted({handler.subject for handler in self})

    def find(self, request: Request) -> Handler:
        """The handler that a command is for. Raises `Undecodable` where there is none for its direction."""
        kinds = self._undoing if request.direction is Direction.COMPENSATE else self._doing
        handler = kinds.get(request.subject)
        if handler is not None:
            return handler
        other = self._doing if kinds is self._undoing else self._undoing
        if request.subject in other:
            expected = "with" if kinds is self._undoing else "without"
            raise Undecodable(
                f"{request.subject} came with {wire.DIRECTION}: {request.direction}, for which its handler "
                f"{other[request.subject].name} would have to be declared {expected} `undoes=`"
            )
        known = ", ".join(self.subjects()) or "nothing"
        raise Undecodable(
            f"expected a command that this participant handles ({known}); got {request.subject}"
        )


def name_of(function: Callable[..., Any]) -> str:
    """The function's name, for error texts."""
    return getattr(function, "__qualname__", repr(function))


def is_async(function: object) -> bool:
    """Whether it is an `async def` function."""
    return inspect.iscoroutinefunction(function)
