"""Sagas for Python services: long business transactions that finish or make amends."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amends.client import Client, NotFinished
    from amends.domain.errors import ActionRefused, AmendsError, NoReply
    from amends.domain.messages import Command, Done, Event
    from amends.domain.policy import Retry
    from amends.domain.saga import Saga, step
    from amends.domain.wait_for import wait_for
    from amends.infrastructure.settings import Settings
    from amends.participant import Failed, Participant, Rejected, Tx
    from amends.process_managers.worker import Worker

__version__ = "0.1.0"

__all__ = [
    "ActionRefused",
    "AmendsError",
    "Client",
    "Command",
    "Done",
    "Event",
    "Failed",
    "NoReply",
    "NotFinished",
    "Participant",
    "Rejected",
    "Retry",
    "Saga",
    "Settings",
    "Tx",
    "Worker",
    "step",
    "wait_for",
]

_HOMES = {
    "ActionRefused": "amends.domain.errors",
    "AmendsError": "amends.domain.errors",
    "Client": "amends.client",
    "Command": "amends.domain.messages",
    "Done": "amends.domain.messages",
    "Event": "amends.domain.messages",
    "Failed": "amends.participant",
    "NoReply": "amends.domain.errors",
    "NotFinished": "amends.client",
    "Participant": "amends.participant",
    "Rejected": "amends.participant",
    "Retry": "amends.domain.policy",
    "Saga": "amends.domain.saga",
    "Settings": "amends.infrastructure.settings",
    "Tx": "amends.participant",
    "Worker": "amends.process_managers.worker",
    "step": "amends.domain.saga",
    "wait_for": "amends.domain.wait_for",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a participant need not have what the worker needs, and programs start quickly.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'amends' has no attribute {name!r}")
    return getattr(import_module(home), name)
