"""Messages that services exchange: commands ask, events tell. Frozen Pydantic models with a subject."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar, Generic, cast

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from amends.domain.errors import DefinitionError

_SUBJECT = re.compile(r"[a-z0-9][a-z0-9_-]*\.[a-z0-9][a-z0-9_-]*")


class Message(BaseModel):
    """A message on a subject `<service>.<what>`, given once: `class Paid(Event, subject="payments.paid")`.

    Raises `DefinitionError` when the subject does not have exactly these two parts.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)  # JSON has no such numbers

    subject: ClassVar[str] = ""

    def __init_subclass__(cls, *, subject: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not subject:
            return
        if not _SUBJECT.fullmatch(subject):
            raise DefinitionError(
                f"{cls.__name__}: expected subject='<service>.<what>', each of lower-case letters, digits, "
                f"'-' and '_', and not beginning with '-' or '_'; got {subject!r}"
            )
        cls.subject = subject


class Event(Message):
    """Something that happened in a service: a start, or the reply to a command."""


class Done(Event):
    """The reply of a command that names none; published on `<service>.<action>.done`."""


R = TypeVar("R", bound=Event, default=Done)


class Command(Message, Generic[R]):
    """A request to one service; `Command[R]` names the event by which the service says that it succeeded."""

    @classmethod
    def reply_type(cls) -> type[Event]:
        """The event type that answers this command; `Done` where none was named."""
        return _reply_type(cls)


@cache
def _reply_type(command: type[Command[Any]]) -> type[Event]:
    for base in command.__mro__:
        metadata = cast("dict[str, Any]", getattr(base, "__pydantic_generic_metadata__", {}))
        if metadata.get("origin") is Command and metadata["args"]:
            named = metadata["args"][0]
            return cast("type[Event]", named) if isinstance(named, type) else Done
    return Done
