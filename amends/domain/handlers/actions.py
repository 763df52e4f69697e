"""What a handler can decide: the values that it yields, and the functions that make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from amends.domain.correlation import LONGEST_KEY
from amends.domain.errors import DefinitionError
from amends.domain.messages import Command, Event
from amends.domain.policy import DEFAULT_RETRY, DEFAULT_TIMEOUT, LONGEST, Retry


class Action:
    """Something that a handler decided; made by the functions of this module."""


@dataclass(frozen=True, slots=True)
class Send(Action):
    """Ask a service."""

    command: Command[Any]
    compensate: Command[Any] | None
    timeout: timedelta
    retry: Retry
    name: str
    pivot: bool


@dataclass(frozen=True, slots=True)
class Publish(Action):
    """Tell whoever listens."""

    event: Event


@dataclass(frozen=True, slots=True)
class RequestTimeout(Action):
    """Be called again after a while."""

    name: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class CancelTimeout(Action):
    """Do not be called after all."""

    name: str


@dataclass(frozen=True, slots=True)
class Complete(Action):
    """There is nothing more to decide."""


@dataclass(frozen=True, slots=True)
class Compensate(Action):
    """Undo what was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class AlsoKnownAs(Action):
    """Be found by one more key."""

    name: str
    value: str


def send(
    command: Command[Any],
    /,
    *,
    compensate: Command[Any] | None = None,
    timeout: timedelta = DEFAULT_TIMEOUT,
    retry: Retry = DEFAULT_RETRY,
    name: str = "",
    pivot: bool = False,
) -> Action:
    """Sends the command, with what undoes it. It is tried, timed out, given up and undone like a step.

    `timeout` is how long an attempt's answer is waited for. `name` is what the send is called in the history,
    once per saga; without one it is the command's action and its place among the saga's sends, `charge#2`. A
    `pivot` is sent when all sends before it are answered; after its success there is no way back, and what is
    sent later is retried for ever. Raises `DefinitionError` where this makes no sense.
    """
    where = f"send({type(command).__name__})"
    if not timedelta(0) < timeout <= LONGEST:
        raise DefinitionError(
            f"{where}: expected a timeout of more than nothing and at most a century, got {timeout}"
        )
    if pivot and compensate is not None:
        raise DefinitionError(f"{where}: a pivot is never compensated; take compensate= away, or pivot=True")
    if not name.isascii():
        raise DefinitionError(
            f"{where}: expected a name in ASCII, because it travels in headers; got {name!r}"
        )
    return Send(command, compensate, timeout, retry, name, pivot)


def publish(event: Event, /) -> Action:
    """Publishes the event on its subject, for whoever listens."""
    return Publish(event)


def timeout(name: str, /, *, after: timedelta) -> Action:
    """Calls the handler `@on_timeout(name)` after this time, unless it is cancelled; asked for again, it begins anew.

    Raises `DefinitionError` where the time makes no sense.
    """
    if not timedelta(0) < after <= LONGEST:
        raise DefinitionError(
            f"timeout({name!r}): expected after= to be more than nothing and at most a century, got {after}"
        )
    return RequestTimeout(name, after)


def cancel_timeout(name: str, /) -> Action:
    """Takes back the timeout of this name; nothing happens where none is awaited."""
    return CancelTimeout(name)


def complete() -> Action:
    """Ends the saga as completed, as soon as everything that it sent is answered. The last thing that a handler
    yields: from here on no handler is called.
    """
    return Complete()


def compensate(reason: str, /) -> Action:
    """Turns back: everything that was sent, and happened or may have, is undone in reverse order. The last thing
    that a handler yields.
    """
    return Compensate(reason)


def also_known_as(name: str, value: object, /) -> Action:
    """Lets events find this saga by a further key, learnt on the way: `also_known_as("payment_id", "p-1")`.

    A key belongs to one saga of its type. Where another has it already, that is recorded in the history for a
    person to look at, and the key stays with the other. Raises `DefinitionError` where the value is empty, or
    longer than 500 characters.
    """
    text = str(value)
    if not 0 < len(text) <= LONGEST_KEY:
        raise DefinitionError(
            f"also_known_as({name!r}): expected a value of 1 to {LONGEST_KEY} characters, got {len(text)}"
        )
    return AlsoKnownAs(name, text)
