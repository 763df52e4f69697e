"""The definitions that a worker holds, and which messages they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from amends.domain.correlation import Correlation
from amends.domain.events import JsonObject
from amends.domain.handlers.definition import AnyDefinition, ManagerDefinition
from amends.domain.wire import event_subject, reply_subjects
from amends.process_managers.errors import DuplicateDefinition


class Registry:
    """Definitions by name and version. Several versions of a type stand side by side; starts go to the newest."""

    def __init__(self, definitions: Iterable[AnyDefinition]) -> None:
        self._held: dict[tuple[str, int], AnyDefinition] = {}
        for definition in definitions:
            held = (definition.name, definition.version)
            if held in self._held:
                raise DuplicateDefinition(
                    f"expected one definition of each version, got two of {definition.name}@{definition.version}; "
                    "give one of them another name or version"
                )
            self._held[held] = definition
        self._asked = {(d.name, subject) for d in self._held.values() for subject in d.reply_subjects()}
        # The newest version that listens to a subject tells how its events find their sagas.
        self._heard = {
            (name, each.event.subject): (definition, each)
            for (name, _), definition in sorted(self._held.items(), key=itemgetter(0))
            for each in definition.listens
        }

    @property
    def held(self) -> Sequence[tuple[str, int]]:
        """Every (type, version) held here."""
        return list(self._held)

    @property
    def types(self) -> Sequence[str]:
        """Every type held here, in any version."""
        return sorted({name for name, _ in self._held})

    @property
    def limits(self) -> Mapping[str, int]:
        """How many sagas of a type may run at once, by the newest version held of each type that has a limit."""
        limits = {saga: self.newest(saga).limit for saga in self.types}
        return {saga: limit for saga, limit in limits.items() if limit is not None}

    def manages(self, saga: str) -> bool:
        """Whether any version held of the type is in the event-handler style."""
        return any(
            name == saga and isinstance(each, ManagerDefinition) for (name, _), each in self._held.items()
        )

    def get(self, saga: str, version: int) -> AnyDefinition | None:
        """The definition of this type and version, where it is held."""
        return self._held.get((saga, version))

    def newest(self, saga: str) -> AnyDefinition:
        """The definition under which new sagas of the type start."""
        return self._held[saga, max(version for name, version in self._held if name == saga)]

    def started_by(self, saga: str, subject: str) -> AnyDefinition:
        """The newest version held of the type that an event on this subject starts; the newest, where none is.

        An older version may be started by an event that the newest no longer knows, and still hears of it.
        """
        versions = [
            version
            for (name, version), definition in self._held.items()
            if name == saga and subject in definition.start_subjects
        ]
        return self._held[saga, max(versions)] if versions else self.newest(saga)

    def hears(self, saga: str, subject: str) -> tuple[AnyDefinition, Correlation] | None:
        """The newest version held of the type that listens to events on this subject, and how they find sagas."""
        return self._heard.get((saga, subject))

    def asks(self, saga: str, subject: str) -> bool:
        """Whether a version held of the type sends commands that are answered on this subject."""
        return (saga, subject) in self._asked

    def shapes(self) -> Sequence[JsonObject]:
        """The shapes of all that is held, to be recorded."""
        return [definition.shape() for definition in self._held.values()]


def start_filter(namespace: str, saga: str, shapes: Iterable[JsonObject]) -> tuple[str, ...]:
    """The subjects that start sagas of this type, in any version that was ever recorded."""
    subjects = {
        subject
        for shape in shapes
        if shape["saga"] == saga
        for subject in [shape["start"], *(each["subject"] for each in shape.get("starts", ()))]
    }
    return tuple(sorted(event_subject(namespace, subject) for subject in subjects))


def reply_filter(namespace: str, saga: str, shapes: Iterable[JsonObject]) -> tuple[str, ...]:
    """The subjects of all that any version of the type that was ever recorded waits for: answers and events.

    It is the union over what is recorded, not over what this worker holds: old sagas must still be heard.
    """
    subjects = {subject for shape in shapes if shape["saga"] == saga for subject in _awaited(shape)}
    return tuple(sorted(event_subject(namespace, subject) for subject in subjects))


def listening_version(saga: str, subject: str, shapes: Iterable[JsonObject]) -> int | None:
    """The newest recorded version of the type that listens to this subject, without namespace."""
    versions = [
        int(shape["version"])
        for shape in shapes
        if shape["saga"] == saga and any(each["subject"] == subject for each in shape.get("listens", ()))
    ]
    return max(versions, default=None)


def _awaited(shape: JsonObject) -> Iterator[str]:
    for step in shape["steps"]:
        for asking in (step["forward"], step["compensation"]):
            for command in asking["commands"] if asking is not None else ():
                yield from reply_subjects(command["subject"], command["reply"])
    for command in shape.get("sends", ()):
        yield from reply_subjects(command["subject"], command["reply"])
    for each in shape.get("listens", ()):
        yield each["subject"]
