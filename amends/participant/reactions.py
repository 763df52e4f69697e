"""Reactions: handlers of other services' events, for services that work together without a coordinator."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic_core import from_json

from amends.domain.correlation import check_event, check_fields, fields_of
from amends.domain.errors import DefinitionError
from amends.domain.messages import Event
from amends.domain.wire import Direction, Outcome
from amends.participant.errors import HandlerBroken, Rejected
from amends.participant.handlers import Tx, is_async, name_of
from amends.participant.memory import Answer, Told

E_co = TypeVar("E_co", bound=Event, covariant=True)
R = TypeVar("R", bound=Event | None)


class Reacts(Protocol[E_co]):
    """What `Participant.reacts_to` returns: takes a handler that returns the next event, or nothing."""

    def __call__(self, handler: Callable[[E_co, Tx], Awaitable[R]], /) -> Callable[[Any, Tx], Awaitable[R]]:
        """Declare the handler; it stays the function that it is."""
        ...


@dataclass(frozen=True, slots=True)
class Reaction:
    """A function that reacts to one type of event, or undoes what the reaction to another led to.

    `key` names the fields that hold the chain's key; none: the header `Amends-Key` does. `rejected` tells a no that
    names no event, and `publishes` that there was nothing to undo; both are made of the key alone.
    """

    event: type[Event]
    key: tuple[str, ...]
    rejected: type[Event] | None
    undoes: type[Event] | None
    publishes: type[Event] | None
    run: Callable[[Any, Tx], Awaitable[Event | None]]

    @property
    def message(self) -> type[Event]:
        """What it is called with."""
        return self.event

    @property
    def subject(self) -> str:
        """The event's subject, without namespace."""
        return self.event.subject

    @property
    def forward_action(self) -> str:
        """The subject of the event whose reaction has the row."""
        return self.undoes.subject if self.undoes else self.event.subject

    @property
    def direction(self) -> Direction:
        """Whether it does or undoes."""
        return Direction.COMPENSATE if self.undoes else Direction.FORWARD

    @property
    def name(self) -> str:
        """The function's name, for error texts."""
        return name_of(self.run)

    def reply_body(self, reply: object) -> bytes:
        """What is stored of the event that the handler returned. Raises `HandlerBroken` for anything else."""
        if reply is None:
            return b"{}"
        if not isinstance(reply, Event) or not reply.subject:
            raise HandlerBroken(
                f"{self.name}: expected an Event with a subject, to be published, or None; got {type(reply).__name__}"
            )
        return json.dumps(
            {"subject": reply.subject, "event": reply.model_dump(mode="json", by_alias=True)}
        ).encode()

    def rejected_body(self, error: Rejected) -> bytes:
        """What is stored of a no: the event that tells it."""
        return self.reply_body(error.event)

    def told(self, answer: Answer, key: str) -> Told | None:
        """What is published because of this answer, for the chain of this key; None: nothing."""
        stored = from_json(answer.body)
        if "subject" in stored:
            return Told(stored["subject"], json.dumps(stored["event"]).encode())
        kind = (
            self.publishes if self.undoes else self.rejected if answer.outcome is Outcome.REJECTED else None
        )
        if kind is None or "code" in stored:  # a tombstone says nothing
            return None
        made = kind.model_validate(fields_of(key, self.key))
        return Told(kind.subject, made.model_dump_json(by_alias=True).encode())


class Reactions:
    """The reactions of one participant, each for one event and purpose."""

    def __init__(self) -> None:
        self._by_subject: dict[str, list[Reaction]] = {}

    def __iter__(self) -> Iterator[Reaction]:
        for reactions in self._by_subject.values():
            yield from reactions

    def add(self, reaction: Reaction) -> None:
        """Raises `DefinitionError` for a second reaction of one kind, and for what cannot work."""
        where = f"{reaction.name}, which reacts to {getattr(reaction.event, '__name__', reaction.event)}"
        for event in (reaction.event, reaction.rejected, reaction.undoes, reaction.publishes):
            if event is not None:
                check_event(where, event)
        check_fields(where, reaction.event, reaction.key)
        if not is_async(reaction.run):
            raise DefinitionError(f"{where}: expected an `async def` function as handler")
        _check_made(where, reaction)
        known = self._by_subject.setdefault(reaction.subject, [])
        for other in known:
            if other.forward_action == reaction.forward_action:
                raise DefinitionError(
                    f"{where}: {other.name} does so already; one handler for each event and what it undoes"
                )
        known.append(reaction)

    def subjects(self) -> list[str]:
        """The subjects, without namespace, of all events reacted to."""
        return sorted(self._by_subject)

    def to(self, subject: str) -> list[Reaction]:
        """The reactions to events on this subject, in the order of their declaration."""
        return self._by_subject.get(subject, [])

    def check(self) -> None:
        """Raises `DefinitionError` where something is undone that is never done."""
        for reaction in self:
            if reaction.undoes is not None and not any(
                r.undoes is None for r in self.to(reaction.forward_action)
            ):
                raise DefinitionError(
                    f"{reaction.name} undoes the reaction to {reaction.undoes.__name__}, and there is none here; "
                    "declare it with `reacts_to`"
                )


def _check_made(where: str, reaction: Reaction) -> None:
    """Each of the two ways to tell something without an event of the handler's own has its side."""
    if reaction.publishes is not None and reaction.undoes is None:
        raise DefinitionError(
            f"{where}: expected publishes= beside undoes= only: it is what is published where there was nothing to "
            "undo. What a reaction returns is published anyhow"
        )
    if reaction.rejected is not None and reaction.undoes is not None:
        raise DefinitionError(f"{where}: expected no rejected= beside undoes=: an undoing is never refused")
    for made in (reaction.rejected, reaction.publishes):
        if made is not None:
            _check_made_of_key(where, reaction, made)


def _check_made_of_key(where: str, reaction: Reaction, made: type[Event]) -> None:
    needed = {name for name, field in made.model_fields.items() if field.is_required()}
    if not reaction.key or needed - set(reaction.key):
        raise DefinitionError(
            f"{where}: expected {made.__name__} to be made of the key alone "
            f"({', '.join(reaction.key) or 'name its fields with key='}); "
            f"got the fields {', '.join(sorted(needed))} without a default"
        )
