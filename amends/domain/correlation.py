"""How an event finds the saga that it is for: by its key, by a header, or by a key learnt on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from amends.domain.errors import AmendsError, DefinitionError
from amends.domain.events import JsonObject
from amends.domain.messages import Event
from amends.domain.policy import LONGEST

PATIENCE: Final = timedelta(hours=24)
"""How long an event that may be early is kept, unless the definition says otherwise."""

LONGEST_KEY: Final = 500
"""Characters that a key may have: it travels in headers, and is looked up in an index."""


class NoKey(AmendsError):
    """A message does not name the saga that it is for: a field of its key, or its header, is empty or too long."""


class Missing(StrEnum):
    """What becomes of an event that finds no saga, and may not start one."""

    IGNORE = "ignore"
    PARK = "park"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class LearntKey:
    """A further key, by which events find one saga of this type: `("order", "payment_id", "p-1")`."""

    saga: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Correlation:
    """How events of one type find their saga, and what becomes of one that finds none.

    `key` names the fields that hold the key; without any, `header` holds it. `known_as` says that the key is a
    further one, of this name. An event that finds no saga is, as `missing` says, ignored, kept for `patience`
    in case that it is early, or made a dead letter.
    """

    event: type[Event]
    key: tuple[str, ...] = ()
    header: str = ""
    known_as: str = ""
    missing: Missing = Missing.PARK
    patience: timedelta = PATIENCE

    @property
    def parks(self) -> bool:
        """An event may wait for its saga."""
        return self.missing is Missing.PARK

    def shape(self) -> JsonObject:
        """This correlation as JSON."""
        return {
            "event": self.event.__name__,
            "subject": self.event.subject,
            "key": list(self.key),
            "header": self.header,
            "known_as": self.known_as,
            "missing": str(self.missing),
            "patience": self.patience.total_seconds(),
        }


def key_of(event: Event, names: Sequence[str]) -> str:
    """The key in these fields: the field itself, or a JSON array of several. Raises `NoKey`."""
    values = [getattr(event, name) for name in names]
    texts = ["" if value is None else str(value) for value in values]
    for name, text in zip(names, texts, strict=True):
        if not text:
            raise NoKey(f"expected {name} of a {type(event).__name__} to name the occurrence, got nothing")
    key = texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)
    if len(key) > LONGEST_KEY:
        raise NoKey(
            f"expected {', '.join(names)} of a {type(event).__name__} to name the occurrence in at most "
            f"{LONGEST_KEY} characters, got {len(key)}"
        )
    return key


def fields_of(key: str, names: Sequence[str]) -> dict[str, str]:
    """The fields that hold this key, as text: what `key_of` made it of."""
    values: list[str] = [key] if len(names) == 1 else json.loads(key)
    return dict(zip(names, values, strict=True))


def correlation(
    where: str,
    event: type[Event],
    key: str | Sequence[str] = (),
    *,
    header: str = "",
    known_as: str = "",
    missing: str = Missing.PARK,
    patience: timedelta = PATIENCE,
) -> Correlation:
    """The correlation that these options ask for. Raises `DefinitionError`, which tells the mend.

    Without `key` and `header` a further key is in the field of its own name, and else the header `Amends-Key`
    tells.
    """
    check_event(where, event)
    names = (key,) if isinstance(key, str) else tuple(key)
    if names and header:
        raise DefinitionError(
            f"{where}: expected the key in fields or in a header, got both; leave one of them out"
        )
    if known_as and not names and not header:
        names = (known_as,)
    check_fields(where, event, names)
    if missing not in list(Missing):
        raise DefinitionError(f"{where}: expected missing to be 'ignore', 'park' or 'dead', got {missing!r}")
    if not timedelta(0) < patience <= LONGEST:
        raise DefinitionError(
            f"{where}: expected patience to be more than nothing and at most a century, got {patience}"
        )
    return Correlation(event, names, header, known_as, Missing(missing), patience)


def check_event(where: str, event: type[Event]) -> None:
    """Refuse what is not an event with a subject. Raises `DefinitionError`."""
    if not (_is_event(event) and event.subject):
        raise DefinitionError(
            f"{where}: expected an Event with a subject, such as class Paid(Event, subject='payments.paid'); "
            f"got {getattr(event, '__name__', event)!r}"
        )


def check_fields(where: str, event: type[Event], names: Sequence[str]) -> None:
    """Refuse a key that names what is no field of the event. Raises `DefinitionError`."""
    for name in names:
        if name not in event.model_fields:
            raise DefinitionError(
                f"{where}: expected key to name fields of {event.__name__} ({', '.join(event.model_fields)}), "
                f"got {name!r}"
            )


def _is_event(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, Event)
