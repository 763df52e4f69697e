"""How a process manager in the event-handler style is written: a class with a state and handlers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import to_json

from amends.domain.correlation import PATIENCE, Correlation, correlation
from amends.domain.errors import DefinitionError
from amends.domain.handlers.actions import Action
from amends.domain.handlers.checking import check
from amends.domain.handlers.definition import Handle, ManagerDefinition
from amends.domain.handlers.rejection import Rejection
from amends.domain.limits import checked_limit
from amends.domain.messages import Command, Event
from amends.domain.policy import LONGEST
from amends.domain.state import SagaState

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound=Event)
C = TypeVar("C", bound=Command[Any])
H = TypeVar("H")

Decided = Iterable[Action] | None
Handler = Callable[[H, E], Decided]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_MARK = "__amends_calls__"


@dataclass(frozen=True, slots=True)
class _Call:
    """When a handler is called: `kind` is start, event, rejected or timeout."""

    kind: str
    name: str
    correlation: Correlation | None = None


def _calls(value: object) -> tuple[_Call, ...]:
    return cast("tuple[_Call, ...]", getattr(value, _MARK, ()))


class _On(Protocol[E]):
    def __call__(self, handler: Handler[H, E], /) -> Handler[H, E]: ...


class _OnRejected(Protocol[C]):
    def __call__(
        self, handler: Callable[[H, Rejection[C]], Decided], /
    ) -> Callable[[H, Rejection[C]], Decided]: ...


class _OnTimeout(Protocol):
    def __call__(self, handler: Callable[[H], Decided], /) -> Callable[[H], Decided]: ...


def starts(event: type[E], /, *, key: str | Sequence[str]) -> _On[E]:
    """Calls the method when an event of this type starts a saga; `key` names the fields that hold its business key.

    Several events may start a saga, whichever comes first; those that come after are handled like others, by the
    method that `@on` gives for their type, or by this one. A second event of the type that started it is refused,
    recorded and made a dead letter, unless there is such an `@on`.
    """
    found = correlation(f"starts({_named(event)})", event, key)
    return cast("_On[E]", _marked(_Call("start", event.subject, found)))


def on(
    event: type[E],
    /,
    *,
    key: str | Sequence[str] = (),
    header: str = "",
    known_as: str = "",
    missing: Literal["park", "ignore", "dead"] = "park",
    patience: timedelta = PATIENCE,
) -> _On[E]:
    """Calls the method when an event of this type comes for the saga, or answers a command that it sent.

    An answer finds its saga by itself. Another event finds it by `key`, fields that hold the business key, or by a
    `header`; by default by `Amends-Key`. With `known_as` that key is a further one, which the saga learnt by
    `also_known_as`; it is in the field of its own name if no other is given. One that finds no saga is, as `missing`
    says, kept for `patience` (it may be early) and then a dead letter, ignored, or a dead letter at once; each is
    recorded.
    """
    found = correlation(
        f"on({_named(event)})",
        event,
        key,
        header=header,
        known_as=known_as,
        missing=missing,
        patience=patience,
    )
    return cast("_On[E]", _marked(_Call("event", event.subject, found)))


def on_rejected(command: type[C], /) -> _OnRejected[C]:
    """Calls the method when a service rejects a command of this type, instead of turning back at once.

    The method decides how to go on: by another command, or by `compensate`.
    """
    if not command.subject:
        raise DefinitionError(f"on_rejected({command.__name__}): expected a Command with a subject")
    return cast("_OnRejected[C]", _marked(_Call("rejected", command.subject)))


def on_timeout(name: str, /) -> _OnTimeout:
    """Calls the method when the timeout that was asked for under this name comes."""
    return cast("_OnTimeout", _marked(_Call("timeout", name)))


class _Body(dict[str, Any]):
    """A class body in which a handler cannot silently be replaced by another of its name."""

    def __setitem__(self, name: str, value: Any) -> None:
        if _calls(self.get(name)):
            raise DefinitionError(f"two handlers are named {name!r}; give each its own name")
        super().__setitem__(name, value)


class _ManagerClass(type):
    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _Body:
        return _Body()


class ProcessManager(Generic[M], metaclass=_ManagerClass):
    """A process manager with a state `M`, a Pydantic model whose fields all have defaults.

    `sends` and `publishes` are the commands, compensations included, and the events that its handlers may send and
    publish. `deadline` limits the whole saga. `limit` is how many run at once, None: any number; it may be changed
    without a new version. Handlers are pure (no I/O, no clock, no dice): they change
    `self.state` and yield what is to be done. Both are recorded, so replay never calls them.
    Raises `DefinitionError` when the class is made, where anything about it cannot work.
    """

    definition: ClassVar[ManagerDefinition]
    _saga: SagaState
    state: M

    def __init_subclass__(
        cls,
        *,
        name: str,
        version: int,
        sends: Sequence[type[Command[Any]]] = (),
        publishes: Sequence[type[Event]] = (),
        deadline: timedelta | None = None,
        limit: int | None = None,
        **kw: Any,
    ) -> None:
        super().__init_subclass__(**kw)
        where = f"process manager {name!r}"
        _check_options(cls, name, version, deadline)
        calls = _collected(cls, where)
        cls.definition = ManagerDefinition(
            name=name,
            version=version,
            deadline=deadline,
            state=_state_type(cls),
            starts=tuple(call.correlation for call, _ in calls if call.correlation and call.kind == "start"),
            listens=_listens(calls),
            sends={command.subject: command for command in sends},
            publishes={event.subject: event for event in publishes},
            on_start=_handles(calls, "start"),
            on_event=_handles(calls, "event"),
            on_rejected=_handles(calls, "rejected"),
            on_timeout=_handles(calls, "timeout"),
            view=cls._view,
            limit=checked_limit(name, limit),
        )
        check(cls.definition, sends, publishes)

    @property
    def key(self) -> str:
        """The business key that this instance is found by."""
        return self._saga.key

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"a handler changes the fields of self.state, and nothing else; self.{name} cannot be set"
        )

    @classmethod
    def _view(cls, saga: SagaState) -> ProcessManager[M]:
        view = object.__new__(cls)
        object.__setattr__(view, "_saga", saga)
        state = cls.definition.state.model_validate_json(to_json(saga.handlers.model))
        object.__setattr__(view, "state", state)
        return view


def _marked(call: _Call) -> Any:
    def mark(handler: Any) -> Any:
        if not inspect.isfunction(handler) or inspect.iscoroutinefunction(handler):
            raise DefinitionError(
                f"expected a plain function as a handler of {call.name!r}, got {handler!r}; write it with def, and "
                "let a participant do the I/O"
            )
        expected = 1 if call.kind == "timeout" else 2
        if len(inspect.signature(handler).parameters) != expected:
            what = "self" if expected == 1 else "self and what happened"
            raise DefinitionError(
                f"handler {handler.__name__!r}: expected {what} as its parameters, got {inspect.signature(handler)}"
            )
        setattr(handler, _MARK, (*_calls(handler), call))
        return handler

    return mark


def _collected(cls: type, where: str) -> list[tuple[_Call, Handle]]:
    """Every call with its handler, in the order of their declaration; a subclass may replace a handler by its name."""
    bases = reversed(cls.__mro__)
    found = {name: value for base in bases for name, value in vars(base).items() if _calls(value)}
    collected: list[tuple[_Call, Handle]] = []
    seen: dict[tuple[str, str], str] = {}
    for attribute, value in found.items():
        for call in _calls(value):
            other = seen.setdefault((call.kind, call.name), attribute)
            if other != attribute:
                raise DefinitionError(
                    f"{where}: expected one handler for {call.name!r}, got {other!r} and {attribute!r}"
                )
            collected.append((call, value))
    return collected


def _handles(calls: Iterable[tuple[_Call, Handle]], kind: str) -> dict[str, Handle]:
    return {call.name: handle for call, handle in calls if call.kind == kind}


def _listens(calls: Sequence[tuple[_Call, Handle]]) -> tuple[Correlation, ...]:
    """What comes beside starts. An event that may start a saga is found as the start says."""
    starting = {call.name for call, _ in calls if call.kind == "start"}
    return tuple(
        call.correlation
        for call, _ in calls
        if call.kind == "event" and call.correlation is not None and call.name not in starting
    )


def _check_options(cls: type, name: str, version: int, deadline: timedelta | None) -> None:
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{cls.__name__}: expected a name of lower-case letters, digits, '-' and '_', got {name!r}"
        )
    if version < 1:
        raise DefinitionError(f"process manager {name!r}: expected a version of at least 1, got {version}")
    if deadline is not None and not timedelta(0) < deadline <= LONGEST:
        raise DefinitionError(
            f"process manager {name!r}: expected a deadline of more than nothing and at most a century, "
            f"got {deadline}"
        )


def _state_type(cls: type) -> type[BaseModel]:
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            if get_origin(generic) is ProcessManager and isinstance(get_args(generic)[0], type):
                return cast("type[BaseModel]", get_args(generic)[0])
    raise DefinitionError(
        f"{cls.__name__}: expected ProcessManager[State] as its base, with a Pydantic model as its state; "
        "got a bare ProcessManager"
    )


def _named(event: object) -> str:
    return str(getattr(event, "__name__", event))
