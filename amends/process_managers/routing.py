"""From a message to the saga that it is for, and what it tells that saga."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from pydantic_core import from_json

from amends.domain.correlation import Correlation, LearntKey, NoKey, key_of
from amends.domain.definition import read
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.identity import message_id as message_id_of
from amends.domain.identity import parsed, saga_id
from amends.domain.inputs import Input
from amends.domain.told import Arrival, Reply, Start
from amends.domain.value import value
from amends.domain.wire import (
    ATTEMPT,
    CAUSATION_ID,
    CE_ID,
    DIRECTION,
    IDEMPOTENCY_KEY,
    KEY,
    NATS_MSG_ID,
    OUTCOME,
    ROUND,
    SAGA,
    SAGA_ID,
    STEP,
    TRACEPARENT,
    Outcome,
    event_subject,
)
from amends.infrastructure.ports import Incoming
from amends.process_managers.errors import Unroutable
from amends.process_managers.registry import Registry

START: Final = "start-"
REPLIES: Final = "saga-"
VERSION: Final = "version"
"""Why a message is held for a worker with another version."""

_LONGEST: Final = 1e9  # seconds, some thirty years
_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_CLAIMS: Final = (STEP, DIRECTION, ROUND, ATTEMPT, IDEMPOTENCY_KEY)
NOBODY: Final = UUID(int=0)

_parsed: Final = lru_cache(maxsize=10_000)(parsed)  # every answer names its saga


@value(frozen=True, slots=True)
class Routed:
    """A message with the saga that it is for; `definition` is the version that a start begins under.

    An event names its saga by `key`; where that is a further key, `sought` is to be found before the saga is known.
    """

    message: Incoming
    message_id: str
    saga: str
    saga_id: UUID
    given: Input
    definition: int = 0
    correlation: Correlation | None = None
    key: str = ""
    sought: LearntKey | None = None


@value(frozen=True, slots=True)
class Unheard:
    """An event on a subject that no version of its saga type listens to which is held here."""

    message: Incoming
    message_id: str
    saga: str
    subject: str


def route(
    message: Incoming, registry: Registry, namespace: str, known_types: Collection[str]
) -> Routed | Unheard | None:
    """Whose message it is; None where another type's consumer handles it. Raises `Unroutable`, `InvalidMessage`.

    Which consumer delivered it tells whether a message starts a saga or is for one, and of which type. It answers
    a command of that type where its headers say so; else it is an event, if the type listens to its subject. Where
    the headers must tell whose event it is, and name another type, that type handles it.

    Who heard an event first may have held it for a saga of a version that does not listen to it; that one passes over
    it.
    """
    if message.consumer.startswith(START):
        return _start(message, registry, namespace, saga_of(message))
    saga, named = saga_of(message), _named(message)
    if named in ("", saga) and CAUSATION_ID in message.headers:
        return _reply(message, saga)
    subject = _subject(message, namespace)
    heard = registry.hears(saga, subject)
    if heard is not None and (heard[1].key or heard[1].header or named in ("", saga)):
        return _event(message, saga, namespace, *heard)
    if heard is None and message.held == VERSION and message.held_for is not None:
        arrival = Arrival(message_id(message), subject, message.body, _trace(message))
        return Routed(message, arrival.message_id, saga, message.held_for, arrival)
    if heard is None and not registry.asks(saga, subject):
        return Unheard(message, message_id(message), saga, subject)
    astray(message, saga, known_types)
    return None


def astray(message: Incoming, saga: str, known_types: Collection[str]) -> None:
    """Raises `Unroutable` for a message that answers no command and is no event, unless another type handles it."""
    named = _named(message)
    if named in ("", saga):
        _uuid(message.headers, SAGA_ID)
        _outcome(message.headers)
        _uuid(message.headers, CAUSATION_ID)
    elif named not in known_types:
        raise Unroutable(
            f"expected {SAGA} to name a saga type that was ever run here, got {message.headers[SAGA]!r}"
        )


def saga_of(message: Incoming) -> str:
    """The saga type whose consumer delivered the message."""
    return message.consumer.removeprefix(START).removeprefix(REPLIES)


def message_id(message: Incoming) -> str:
    """The message's identity: its `ce-id`, or what stands for it where a foreign publisher gave none that is one."""
    given = message.headers.get(CE_ID) or message.headers.get(NATS_MSG_ID)
    if given and _ID.fullmatch(given):
        return given
    return str(message_id_of(message.subject, given or message.body.decode("utf-8", "backslashreplace")))


def _trace(message: Incoming) -> str:
    """The W3C trace context, where there is one."""
    given = message.headers.get(TRACEPARENT, "")
    return given if _TRACEPARENT.fullmatch(given) else ""


def _start(message: Incoming, registry: Registry, namespace: str, saga: str) -> Routed:
    subject = _subject(message, namespace)
    definition = registry.started_by(saga, subject)
    event = definition.read_start(subject, message.body)
    key = definition.key_of(event)
    identity = saga_id(namespace, saga, key)
    start = Start(
        message_id=message_id(message),
        saga_id=identity,
        namespace=namespace,
        key=key,
        subject=type(event).subject,
        payload=event.model_dump(mode="json"),
        trace=_trace(message),
    )
    return Routed(message, start.message_id, saga, identity, start, definition.version)


def _event(
    message: Incoming, saga: str, namespace: str, definition: AnyDefinition, correlation: Correlation
) -> Routed:
    headers = message.headers
    subject = correlation.event.subject
    arrival = Arrival(message_id(message), subject, message.body, _trace(message))
    routed = Routed(message, arrival.message_id, saga, NOBODY, arrival, definition.version, correlation)
    if not correlation.key and not correlation.header and _named(message) == saga and SAGA_ID in headers:
        return replace(routed, saga_id=_uuid(headers, SAGA_ID), key=headers[SAGA_ID])
    key = _key(message, correlation)
    if correlation.known_as:
        return replace(routed, key=key, sought=LearntKey(saga, correlation.known_as, key))
    return replace(routed, key=key, saga_id=saga_id(namespace, saga, key))


def _key(message: Incoming, correlation: Correlation) -> str:
    if correlation.key:
        try:
            return key_of(read(correlation.event, message.body), correlation.key)
        except NoKey as error:
            raise Unroutable(str(error)) from None
    name = correlation.header or KEY
    came = message.headers.get(name, "")
    if not came:
        raise Unroutable(f"expected the header {name} to name the occurrence; it is missing")
    return unquote(came)


def _subject(message: Incoming, namespace: str) -> str:
    """The subject without namespace."""
    return message.subject.removeprefix(event_subject(namespace, ""))


def _named(message: Incoming) -> str:
    """The saga type that the headers name, or nothing."""
    return message.headers.get(SAGA, "").partition("@")[0]


def _reply(message: Incoming, saga: str) -> Routed:
    headers = message.headers
    identity = _uuid(headers, SAGA_ID)
    outcome = _outcome(headers)
    refusal = _refusal(message.body) if outcome is not Outcome.SUCCEEDED else {}
    reply = Reply(
        message_id=message_id(message),
        command_id=_uuid(headers, CAUSATION_ID),
        outcome=outcome,
        body=message.body,
        code=str(refusal.get("code") or ""),
        reason=str(refusal.get("reason") or ""),
        details=refusal.get("details"),
        retry_after=_seconds(refusal.get("retry_after")),
        trace=_trace(message),
        claims=tuple([(name, headers[name]) for name in _CLAIMS if name in headers]),
    )
    return Routed(message, reply.message_id, saga, identity, reply)


def _uuid(headers: Mapping[str, str], name: str) -> UUID:
    came = headers.get(name)
    try:
        return _parsed(came or "")
    except ValueError:
        got = f"got {came!r}" if came else "it is missing"
        raise Unroutable(f"expected the header {name} to be a UUID, copied from the command; {got}") from None


def _outcome(headers: Mapping[str, str]) -> Outcome:
    came = headers.get(OUTCOME)
    if came not in (Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.FAILED):
        raise Unroutable(f"expected the header {OUTCOME} to be succeeded, rejected or failed; got {came!r}")
    return Outcome(came)


def _refusal(body: bytes) -> Mapping[str, Any]:
    try:
        refusal = from_json(body or b"{}")
    except ValueError as error:
        raise Unroutable(f"expected a body of JSON with code, reason and details; got {error}") from None
    if not isinstance(refusal, dict):
        raise Unroutable(
            "expected a body of JSON with code, reason and details; got something other than an object"
        )
    return refusal


def _seconds(came: Any) -> float | None:
    if came is None:
        return None
    if isinstance(came, bool) or not isinstance(came, int | float) or not 0 <= came < _LONGEST:
        raise Unroutable(f"expected retry_after to be a number of seconds, got {came!r}")
    return float(came)
