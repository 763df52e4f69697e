"""The request to publish again what was published, or should have been, after an event."""

from __future__ import annotations

from functools import cache
from typing import Final

from amends.domain.messages import Event

_WHAT: Final = "republish-requested"


class RepublishRequested(Event):
    """A service is asked to publish again what its reactions to the event on the subject `after` led to.

    `key` is the business key of the chain. A service that has nothing stored under it publishes nothing.
    """

    key: str
    after: str


def republish_subject(service: str) -> str:
    """Where a service hears of such requests, without namespace: `<service>.republish-requested`."""
    return f"{service}.{_WHAT}"


@cache
def republish_request(service: str) -> type[RepublishRequested]:
    """The request to this service."""

    class Request(RepublishRequested, subject=republish_subject(service)):
        pass

    return Request
