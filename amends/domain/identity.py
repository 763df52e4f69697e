"""Names that are functions of what they name, so that doing a thing twice names it twice the same."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Final
from uuid import UUID, SafeUUID

from amends.domain.wire import Direction

_AMENDS: Final = UUID("5b0d3a52-6c1e-5f0a-9d55-0f6a5d1a9c37")

_VERSION_5: Final = 0x5 << 76 | 0x2 << 62  # with the variant
_NO_VERSION: Final = ~(0xF << 76 | 0x3 << 62)
_UNKNOWN: Final = SafeUUID.unknown
_DIGITS: Final = 32

_json: Final = json.JSONEncoder(ensure_ascii=False).encode


def saga_id(namespace: str, saga_type: str, key: str, fork: int = 0) -> UUID:
    """The id of the one saga of this type and key; a fork other than 0 names a deliberate second one."""
    return named(_AMENDS, _json([namespace, saga_type, key, fork]))


def idempotency_key(saga: UUID, step: str, direction: Direction, round_: int) -> UUID:
    """The key under which a participant does a thing once: the same for every attempt of a round."""
    return named(saga, f"{step}/{direction}/{round_}")


def command_id(saga: UUID, step: str, direction: Direction, round_: int, attempt: int) -> UUID:
    """The id of one attempt; replies name it."""
    return named(saga, f"{step}/{direction}/{round_}/{attempt}")


def published_id(saga: UUID, ordinal: int) -> UUID:
    """The id of an event that a process manager published; its `ordinal` counts them from 1."""
    return named(saga, f"publish/{ordinal}")


def message_id(subject: str, body: str) -> UUID:
    """The id of an event that is told by its content: the same event told again is the same message."""
    return named(_AMENDS, f"{subject}\n{body}")


def named(namespace: UUID, name: str) -> UUID:
    """`uuid.uuid5`, the UUID by name and SHA-1 of RFC 9562, in half its time: a worker makes nine for a saga."""
    hashed = sha1(namespace.int.to_bytes(16, "big") + name.encode(), usedforsecurity=False).digest()
    return _made(int.from_bytes(hashed[:16], "big") & _NO_VERSION | _VERSION_5)


def parsed(text: str) -> UUID:
    """`UUID(text)`, in less time where it is written as usual. Raises `ValueError`."""
    digits = text.replace("-", "")
    return _made(int(digits, 16)) if len(digits) == _DIGITS else UUID(text)


def _made(number: int) -> UUID:
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made
