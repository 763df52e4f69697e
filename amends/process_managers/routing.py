"""From a message to the saga that it is for, and what it tells that saga."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from amends.domain.definition import InvalidMessage
from amends.domain.identity import message_id as message_id_of
from amends.domain.identity import saga_id
from amends.domain.inputs import Input, Reply, Start
from amends.domain.wire import (
    ATTEMPT,
    CAUSATION_ID,
    CE_ID,
    DIRECTION,
    IDEMPOTENCY_KEY,
    NATS_MSG_ID,
    OUTCOME,
    ROUND,
    SAGA,
    SAGA_ID,
    STEP,
    TRACEPARENT,
    Outcome,
)
from amends.infrastructure.ports import Incoming
from amends.process_managers.errors import Unroutable
from amends.process_managers.registry import Registry

START: Final = "start-"
REPLIES: Final = "saga-"
_LONGEST: Final = 1e9  # seconds, some thirty years
_CLAIMS: Final = (STEP, DIRECTION, ROUND, ATTEMPT, IDEMPOTENCY_KEY)


@dataclass(frozen=True, slots=True)
class Routed:
    """A message with the saga that it is for; `definition` is the version that a start begins under."""

    message: Incoming
    message_id: str
    saga: str
    saga_id: UUID
    given: Input
    definition: int = 0


def route(
    message: Incoming, registry: Registry, namespace: str, known_types: Collection[str]
) -> Routed | None:
    """Whose message it is; None where another type's consumer handles it. Raises `Unroutable`, `InvalidMessage`.

    Which consumer delivered it tells whether a message starts a saga or answers one, and of which type.
    """
    if message.consumer.startswith(START):
        return _start(message, registry, namespace, message.consumer.removeprefix(START))
    return _reply(message, message.consumer.removeprefix(REPLIES), known_types)


def message_id(message: Incoming) -> str:
    """The message's identity: its `ce-id`, or what stands for it where a foreign publisher gave none."""
    given = message.headers.get(CE_ID) or message.headers.get(NATS_MSG_ID)
    return given or str(message_id_of(message.subject, message.body.decode("utf-8", "backslashreplace")))


def _start(message: Incoming, registry: Registry, namespace: str, saga: str) -> Routed:
    definition = registry.newest(saga)
    event = definition.read_start(message.body)
    key = definition.key_of(event)
    if not key:
        raise InvalidMessage(f"expected {'+'.join(definition.key)} to name the occurrence, got nothing")
    identity = saga_id(namespace, saga, key)
    start = Start(
        message_id=message_id(message),
        saga_id=identity,
        namespace=namespace,
        key=key,
        subject=definition.start.subject,
        payload=event.model_dump(mode="json"),
        trace=message.headers.get(TRACEPARENT, ""),
    )
    return Routed(message, start.message_id, saga, identity, start, definition.version)


def _reply(message: Incoming, saga: str, known_types: Collection[str]) -> Routed | None:
    headers = message.headers
    named = headers.get(SAGA, "").partition("@")[0]
    if named and named != saga:
        if named in known_types:
            return None
        raise Unroutable(f"expected {SAGA} to name a saga type that was ever run here, got {headers[SAGA]!r}")
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
        trace=headers.get(TRACEPARENT, ""),
        claims=tuple((name, headers[name]) for name in _CLAIMS if name in headers),
    )
    return Routed(message, reply.message_id, saga, identity, reply)


def _uuid(headers: Mapping[str, str], name: str) -> UUID:
    came = headers.get(name)
    try:
        return UUID(came or "")
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
