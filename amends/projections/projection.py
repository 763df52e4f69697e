"""What a projection is: tables, and a pure function from events to changes of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from pydantic_core import from_json, to_json

from amends.domain.errors import UnreadableEvent
from amends.domain.events import EVENT_TYPES, JsonObject
from amends.domain.history import UPCASTERS

Columns: TypeAlias = dict[str, list[Any]]
States: TypeAlias = Mapping[str, str]

UNREADABLE: Final = "unreadable"
"""The type that stands for an event whose bytes are no JSON object; its data says why, as `reason`."""


class Logged(NamedTuple):
    """An event as projections read it: its JSON, without the model. Fields that were left out have their default.

    `position` is its place in the order of commits over all sagas.
    """

    position: int
    saga_id: str
    version: int
    type: str
    data: JsonObject


class Change(NamedTuple):
    """A statement of the projection, by the name of its `.sql` file, and the columns that it is given."""

    statement: str
    columns: Columns


class Projection(Protocol):
    """A read model that is made from the histories and from nothing else.

    `version` counts up with every change of the tables or of the fold: a copy of the new version is then built beside
    the live one. `package` is the folder of its `.sql` files: `tables` (made in a schema of the copy's own), `views`
    (what readers see of the copy), `load` (the fold's state, by saga), and what `fold` names.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    package: ClassVar[str]

    def fold(self, states: States, events: Sequence[Logged]) -> Sequence[Change]:
        """What these events change. `states` are those that were saved for their sagas, where there are any.

        Pure; and the same changes come of the same events, whether they come at once or one by one.
        """
        ...


def logged(position: int, saga_id: str, version: int, topic: str, stored: bytes) -> Logged:
    """The event in these stored bytes. Raises `UnreadableEvent` where it is of a type that is not known here yet."""
    name, schema, newest = _parsed(topic)
    if schema > newest:
        raise UnreadableEvent(
            f"saga {saga_id}, version {version}: expected an event type that this version of Amends knows, got "
            f"{topic!r}; it was written by a newer version: upgrade this program"
        )
    if b"\\u0000" in stored:  # what PostgreSQL cannot store as text
        stored = stored.replace(b"\\u0000", b"\\ufffd")
    try:
        data: JsonObject = from_json(stored)
        if schema < newest:
            for each in range(schema, newest):
                data = UPCASTERS[name, each](data)
    except (ValueError, KeyError) as error:
        return Logged(position, saga_id, version, UNREADABLE, {"reason": f"{topic}: {error}"})
    return Logged(position, saga_id, version, name, data)


@cache
def _parsed(topic: str) -> tuple[str, int, int]:
    """Name and schema version, and the newest that is known here; 0 for a type that is not."""
    name, _, schema = topic.partition(":")
    kind = EVENT_TYPES.get(name)
    return name, int(schema) if schema.isdigit() else 1, kind.schema_version if kind else 0


def dumps(state: JsonObject | list[JsonObject]) -> str:
    """JSON as text, the same for what is equal."""
    return to_json(state).decode()
