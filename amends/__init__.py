"""Sagas for Python services: long business transactions that finish or make amends."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from amends.infrastructure.core import refuse_stale

if TYPE_CHECKING:
    from amends.client import Client, NotFinished, NotStarted
    from amends.domain.announce import announce
    from amends.domain.choreography.definition import Choreography, link
    from amends.domain.errors import ActionRefused, AmendsError, NoReply
    from amends.domain.foreign import Foreign
    from amends.domain.handlers.actions import (
        Action,
        also_known_as,
        cancel_timeout,
        compensate,
        complete,
        publish,
        send,
        timeout,
    )
    from amends.domain.handlers.manager import ProcessManager, on, on_rejected, on_timeout, starts
    from amends.domain.handlers.rejection import Rejection
    from amends.domain.limits import Breaker, Limit
    from amends.domain.messages import Command, Done, Event
    from amends.domain.migration import Migration
    from amends.domain.policy import Retry
    from amends.domain.saga import Saga, step
    from amends.domain.wait_for import wait_for
    from amends.infrastructure.settings import Settings
    from amends.participant import Failed, Participant, Rejected, Tx
    from amends.process_managers.worker import Worker

refuse_stale()

__version__ = "0.1.0"

__all__ = [
    "Action",
    "ActionRefused",
    "AmendsError",
    "Breaker",
    "Choreography",
    "Client",
    "Command",
    "Done",
    "Event",
    "Failed",
    "Foreign",
    "Limit",
    "Migration",
    "NoReply",
    "NotFinished",
    "NotStarted",
    "Participant",
    "ProcessManager",
    "Rejected",
    "Rejection",
    "Retry",
    "Saga",
    "Settings",
    "Tx",
    "Worker",
    "also_known_as",
    "announce",
    "cancel_timeout",
    "compensate",
    "complete",
    "link",
    "on",
    "on_rejected",
    "on_timeout",
    "publish",
    "send",
    "starts",
    "step",
    "timeout",
    "wait_for",
]

_HOMES = {
    "Action": "amends.domain.handlers.actions",
    "ActionRefused": "amends.domain.errors",
    "AmendsError": "amends.domain.errors",
    "Breaker": "amends.domain.limits",
    "Choreography": "amends.domain.choreography.definition",
    "Client": "amends.client",
    "Command": "amends.domain.messages",
    "Done": "amends.domain.messages",
    "Event": "amends.domain.messages",
    "Failed": "amends.participant",
    "Foreign": "amends.domain.foreign",
    "Limit": "amends.domain.limits",
    "Migration": "amends.domain.migration",
    "NoReply": "amends.domain.errors",
    "NotFinished": "amends.client",
    "NotStarted": "amends.client",
    "Participant": "amends.participant",
    "ProcessManager": "amends.domain.handlers.manager",
    "Rejected": "amends.participant",
    "Rejection": "amends.domain.handlers.rejection",
    "Retry": "amends.domain.policy",
    "Saga": "amends.domain.saga",
    "Settings": "amends.infrastructure.settings",
    "Tx": "amends.participant",
    "Worker": "amends.process_managers.worker",
    "also_known_as": "amends.domain.handlers.actions",
    "cancel_timeout": "amends.domain.handlers.actions",
    "compensate": "amends.domain.handlers.actions",
    "complete": "amends.domain.handlers.actions",
    "link": "amends.domain.choreography.definition",
    "on": "amends.domain.handlers.manager",
    "on_rejected": "amends.domain.handlers.manager",
    "on_timeout": "amends.domain.handlers.manager",
    "publish": "amends.domain.handlers.actions",
    "send": "amends.domain.handlers.actions",
    "starts": "amends.domain.handlers.manager",
    "announce": "amends.domain.announce",
    "step": "amends.domain.saga",
    "timeout": "amends.domain.handlers.actions",
    "wait_for": "amends.domain.wait_for",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a participant need not have what the worker needs, and programs start quickly.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'amends' has no attribute {name!r}")
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("amends"):
            raise
        raise ModuleNotFoundError(
            f"amends.{name} needs {error.name}, which is not installed; install it with `amends[worker]`",
            name=error.name,
        ) from error
