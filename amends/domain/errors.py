"""The root of every exception that Amends raises, and those of the domain."""

from __future__ import annotations


class AmendsError(Exception):
    """Base of every error that Amends raises. Its text says what was expected, what came, and the mend."""


class DefinitionError(AmendsError):
    """A message, saga or participant is not written as it must be; raised when it is defined."""


class NoReply(AmendsError):
    """A step function asked for the reply of a step that was skipped or never answered."""


class UnreadableEvent(AmendsError):
    """A stored event has a type or schema version that this program does not know, or is malformed."""


class SchemaNotHeld(UnreadableEvent):
    """A newer program stored the event: this one does not know its type, or only older schema versions of it."""

    def __init__(self, where: str, topic: str, known: str) -> None:
        super().__init__(
            f"{where}: expected an event type that this version of Amends knows ({known}), got {topic!r}; "
            "it was written by a newer version: upgrade this program"
        )
        self.topic = topic


class BrokenHistory(AmendsError):
    """A history does not chain: a version is missing, or a hash is not that of the event before."""


class ActionRefused(AmendsError):
    """An operator's action is impossible in the saga's present state; nothing was changed."""


class VersionNotHeld(ActionRefused):
    """An operator's action needs the saga's definition, and whoever was asked does not hold its version."""

    def __init__(self, saga: str, version: int) -> None:
        super().__init__(
            f"expected a running worker that holds {saga}@{version}, the version of this saga; there is none. "
            "Run one: amends worker MODULE"
        )
        self.saga = saga
        self.version = version
