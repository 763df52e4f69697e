"""Names on the wire: subjects, streams and headers. What they mean is told in docs/protocol.md."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

from pydantic_core import to_json

CE_SPECVERSION: Final = "ce-specversion"
CE_ID: Final = "ce-id"
CE_SOURCE: Final = "ce-source"
CE_TYPE: Final = "ce-type"
CE_TIME: Final = "ce-time"
CE_SUBJECT: Final = "ce-subject"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
NATS_MSG_ID: Final = "Nats-Msg-Id"

SAGA_ID: Final = "Amends-Saga-Id"
SAGA: Final = "Amends-Saga"  # type and version: "order@1"
KEY: Final = "Amends-Key"
STEP: Final = "Amends-Step"
DIRECTION: Final = "Amends-Direction"
ROUND: Final = "Amends-Round"
ATTEMPT: Final = "Amends-Attempt"
IDEMPOTENCY_KEY: Final = "Amends-Idempotency-Key"
KEY_OPENED: Final = "Amends-Key-Opened"  # RFC 3339, UTC; always of the forward key's round
FORWARD_KEY: Final = "Amends-Forward-Key"
EXPIRES: Final = "Amends-Expires"  # RFC 3339, UTC
CAUSATION_ID: Final = "Amends-Causation-Id"
OUTCOME: Final = "Amends-Outcome"
VERSION: Final = "Amends-Version"

FORGOTTEN: Final = "forgotten"
"""The code of a failure that says: the participant no longer knows this key, and will never execute it."""

DEAD_REASON: Final = "Amends-Dead-Reason"
DEAD_SUBJECT: Final = "Amends-Dead-Subject"
DEAD_SEQUENCE: Final = "Amends-Dead-Sequence"
DEAD_CUT: Final = "Amends-Dead-Cut"  # the size of a body that did not fit with the reason beside it

MAX_MESSAGE: Final = 1024 * 1024
"""Bytes that a message may have, headers included: NATS refuses more by default."""

HEADERS: Final = 20 * 1024
"""How many of these are left for the headers where a body is made here."""


class Direction(StrEnum):
    """What a command asks for: do it, undo it, or make sure that it can never happen (again)."""

    FORWARD = "forward"
    COMPENSATE = "compensate"
    CLOSE = "close"


class Outcome(StrEnum):
    """How an attempt ended; `timed_out` never travels, it is what silence is recorded as."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@lru_cache(maxsize=1024)  # what is decided together has one time
def timestamp(at: datetime) -> str:
    """The time as a header carries it: RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def identifier(id_: UUID) -> str:
    """The id as a header carries it."""
    return to_json(id_)[1:-1].decode()  # half of what `str` costs, and a saga's messages carry a dozen


def stream(namespace: str, what: str) -> str:
    """The stream's name; `what` is commands, events, sagas or dead."""
    return f"{namespace}_{what}".upper()


def command_subject(namespace: str, subject: str) -> str:
    """Where a command travels: `ns.cmd.<service>.<action>`."""
    return f"{namespace}.cmd.{subject}"


def service(subject: str) -> str:
    """The service that a subject without namespace belongs to: `<service>.<what>`."""
    return subject.partition(".")[0]


def event_subject(namespace: str, subject: str) -> str:
    """Where an event travels: `ns.evt.<service>.<what>`."""
    return f"{namespace}.evt.{subject}"


def saga_subject(namespace: str, saga_type: str, milestone: str) -> str:
    """Where it is told what becomes of sagas: `ns.saga.<type>.<milestone>`."""
    return f"{namespace}.saga.{saga_type}.{milestone}"


def dead_subject(namespace: str, where: str) -> str:
    """Where messages go that could not be handled: `ns.dead.<where>`."""
    return f"{namespace}.dead.{where}"


def action_subject(namespace: str, saga_type: str, version: int) -> str:
    """Where workers that hold this version hear of operators' actions: `ns.svc.act.<type>.<version>`."""
    return f"{namespace}.svc.act.{saga_type}.{version}"


def succeeded_subject(command_subject: str, reply_subject: str) -> str:
    """The subject, without namespace, of a command's success: its reply event's, or `<command>.done`."""
    return reply_subject or f"{command_subject}.done"


def reply_subjects(command_subject: str, reply_subject: str) -> tuple[str, str, str]:
    """The three subjects, without namespace, that can answer a command: succeeded, rejected, failed."""
    return (
        succeeded_subject(command_subject, reply_subject),
        f"{command_subject}.rejected",
        f"{command_subject}.failed",
    )
