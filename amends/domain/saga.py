"""How a saga is written: a class whose steps read from top to bottom as the process that it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import (
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_origin,
    overload,
)

from pydantic_core import to_json

from amends.domain.annotations import returned_commands, returned_events
from amends.domain.announcing import Announcing
from amends.domain.checking import check
from amends.domain.definition import Asking, Definition, StepDefinition, listened
from amends.domain.errors import DefinitionError, NoReply
from amends.domain.foreign import Foreign, foreign_answers
from amends.domain.limits import checked_limit
from amends.domain.messages import Command, Event
from amends.domain.migration import Migration
from amends.domain.policy import COMPENSATION_RETRY, DEFAULT_RETRY, DEFAULT_TIMEOUT, LONGEST, Retry
from amends.domain.state import SagaState

S = TypeVar("S", bound=Event)
E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Event)

Build = Callable[[Any], Command[R] | None]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class Compensation:
    """What undoes a step; made by `@step.compensate`."""

    def __init__(
        self, build: Build[Any], timeout: timedelta, retry: Retry, foreign: Foreign | None = None
    ) -> None:
        self.build = build
        self.timeout = timeout
        self.retry = retry
        self.foreign = foreign


class Announcement:
    """What is published when a step's rejection makes the saga turn back; made by `@step.when_rejected`."""

    def __init__(self, build: Callable[[Any], Event | None]) -> None:
        self.build = build


class _Compensate(Protocol):
    def __call__(self, build: Build[Any], /) -> Compensation: ...


class Step(Generic[R]):
    """One step of a saga; made by `@step`."""

    def __init__(
        self,
        build: Build[R],
        *,
        after: Sequence[Step[Any]] | None = None,
        pivot: bool = False,
        timeout: timedelta = DEFAULT_TIMEOUT,
        retry: Retry = DEFAULT_RETRY,
        ask_again: Sequence[timedelta] = (),
        foreign: Foreign | None = None,
        compensation: Compensation | None = None,
    ) -> None:
        _plain_function(build)
        _positive(build.__name__, timeout)
        for delay in ask_again:
            _positive(build.__name__, delay)
        self.name = build.__name__
        self.build = build
        self.after = steps_before(f"step {self.name!r}", after)
        self.pivot = pivot
        self.timeout = timeout
        self.retry = retry
        self.ask_again = tuple(ask_again)
        self.foreign = foreign
        self.compensation = compensation
        self.rejection: Announcement | None = None

    @overload
    def compensate(self, build: Build[Any], /) -> Compensation: ...
    @overload
    def compensate(
        self,
        build: None = None,
        /,
        *,
        timeout: timedelta = ...,
        retry: Retry = ...,
        foreign: Foreign | None = None,
    ) -> _Compensate: ...
    def compensate(
        self,
        build: Build[Any] | None = None,
        /,
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,
        retry: Retry = COMPENSATION_RETRY,
        foreign: Foreign | None = None,
    ) -> Compensation | _Compensate:
        """Names the function that builds the command which undoes this step.

        It must not need the step's reply: where the step timed out, there is none. It is retried for ever;
        after `retry.attempts` a person is told, and it goes on slowly. `foreign` as for `@step`.
        """

        def decorate(build: Build[Any], /) -> Compensation:
            _plain_function(build)
            _positive(build.__name__, timeout)
            if self.compensation is not None:
                raise DefinitionError(
                    f"step {self.name!r}: expected one compensation, got a second, {build.__name__!r}"
                )
            self.compensation = Compensation(build, timeout, retry, foreign)
            return self.compensation

        return decorate if build is None else decorate(build)

    def when_rejected(self, build: Callable[[Any], Event | None], /) -> Announcement:
        """Names the function that builds an event which is published when this step's rejection counts.

        It may start another saga, which this one does not wait for. Returning None tells nothing.
        """
        _plain_function(build)
        if self.rejection is not None:
            raise DefinitionError(
                f"step {self.name!r}: expected one when_rejected, got a second, {build.__name__!r}"
            )
        self.rejection = Announcement(build)
        return self.rejection

    def with_options(self, *, timeout: timedelta | None = None, retry: Retry | None = None) -> Step[R]:
        """The same step with another timeout or retry policy, for a subclass of its saga."""
        changed = Step(
            self.build,
            pivot=self.pivot,
            timeout=self.timeout if timeout is None else timeout,
            retry=retry or self.retry,
            ask_again=self.ask_again,
            foreign=self.foreign,
            compensation=self.compensation,
        )
        changed.after = self.after
        changed.rejection = self.rejection
        return changed

    def compiled(self, saga: str, after: tuple[str, ...], known: dict[str, Any]) -> StepDefinition:
        """The step as data; `known` are the names by which its annotations may call types."""
        undo = self.compensation
        return StepDefinition(
            name=self.name,
            pivot=self.pivot,
            after=after,
            forward=_asking(saga, self, known, self.ask_again),
            compensation=None if undo is None else _asking(saga, undo, known),
            when_rejected=self.telling(saga, known),
        )

    def telling(self, saga: str, known: dict[str, Any]) -> Announcing | None:
        """What is published on a rejection, as data."""
        if self.rejection is None:
            return None
        return Announcing(self.rejection.build, returned_events(saga, self.rejection.build, known))


def _asking(
    saga: str, asking: Step[Any] | Compensation, known: dict[str, Any], ask_again: tuple[timedelta, ...] = ()
) -> Asking:
    commands = returned_commands(saga, asking.build, known)
    where = f"saga {saga!r}, function {asking.build.__name__!r}"
    answers = None if asking.foreign is None else foreign_answers(where, asking.foreign, commands)
    return Asking(asking.build, commands, asking.timeout, asking.retry, ask_again, answers)


class _Step(Protocol):
    def __call__(self, build: Build[R], /) -> Step[R]: ...


@overload
def step(build: Build[R], /) -> Step[R]: ...
@overload
def step(
    *,
    after: Sequence[Step[Any]] | None = None,
    pivot: bool = False,
    timeout: timedelta = ...,
    retry: Retry = ...,
    ask_again: Sequence[timedelta] = (),
    foreign: Foreign | None = None,
) -> _Step: ...
def step(
    build: Build[Any] | None = None,
    /,
    *,
    after: Sequence[Step[Any]] | None = None,
    pivot: bool = False,
    timeout: timedelta = DEFAULT_TIMEOUT,
    retry: Retry = DEFAULT_RETRY,
    ask_again: Sequence[timedelta] = (),
    foreign: Foreign | None = None,
) -> Step[Any] | _Step:
    """Makes a step of a function that builds its command from what is known, or returns None to skip.

    It runs after the step declared before it; `after` names other steps instead, all of which must be done or
    skipped, and `after=[]` none: steps whose predecessors are done run side by side. `timeout` is how long an
    attempt's answer is waited for; `pivot` marks the step after whose success the saga only goes forward.
    `ask_again` are delays after which a rejection is asked again, each in a new round, before it counts.
    `foreign` says that its service keeps none of the promises, and by which events it answers. The
    function must be pure: no I/O, no clock, no dice.
    """

    def decorate(build: Build[R], /) -> Step[R]:
        return Step(
            build,
            after=after,
            pivot=pivot,
            timeout=timeout,
            retry=retry,
            ask_again=ask_again,
            foreign=foreign,
        )

    return decorate if build is None else decorate(build)


class _Body(dict[str, Any]):
    """A class body in which a step cannot silently be replaced by another of its name."""

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(self.get(name), (Step, Compensation, Announcement)):
            raise DefinitionError(f"two steps or compensations are named {name!r}; give each its own name")
        super().__setitem__(name, value)


class _SagaClass(type):
    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _Body:
        return _Body()


class Saga(Generic[S], metaclass=_SagaClass):
    """A saga type that is started by an event `S`.

    `name` and `version` are given, never derived. `key` names the field (or fields) of the start event by
    which an instance is found. `deadline` limits the whole saga. `limit` is how many sagas of the type run at once,
    None: any number; it may be changed without a new version. In a step function `self` is read-only.
    Raises `DefinitionError` when the class is made, where anything about it cannot work.
    """

    definition: ClassVar[Definition]
    _state: SagaState

    def __init_subclass__(
        cls,
        *,
        name: str,
        version: int,
        key: str | tuple[str, ...],
        deadline: timedelta | None = None,
        migrates: Sequence[Migration] = (),
        limit: int | None = None,
        **kw: Any,
    ) -> None:
        super().__init_subclass__(**kw)
        frame = inspect.currentframe()
        # Types of a local class are known only where the class statement stands.
        known = dict(frame.f_back.f_locals) if frame and frame.f_back else {}
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"{cls.__name__}: expected a name of lower-case letters, digits, '-' and '_', got {name!r}"
            )
        if version < 1:
            raise DefinitionError(f"saga {name!r}: expected a version of at least 1, got {version}")
        if deadline is not None:
            _positive(name, deadline)
        steps = _compiled(name, _steps(cls), known)
        cls.definition = Definition(
            name=name,
            version=version,
            key=(key,) if isinstance(key, str) else tuple(key),
            start=_start_type(cls),
            deadline=deadline,
            steps=steps,
            view=cls._view,
            listens=listened(steps),
            migrations=tuple(migrates),
            limit=checked_limit(name, limit),
        )
        check(cls.definition)

    @property
    def key(self) -> str:
        """The business key that this instance is found by."""
        return self._state.key

    @property
    def start(self) -> S:
        """The event that started this instance."""
        return cast(S, self._state.start_as(self.definition.start))

    @overload
    def reply(self, step: Step[E], /) -> E: ...
    @overload
    def reply(self, step: Step[E], /, *, default: None) -> E | None: ...
    def reply(self, step: Step[E], /, **options: None) -> E | None:
        """What the step's service answered. Raises `NoReply` where there is none and no default is given."""
        body = self._state.step(step.name).reply
        if body is None:
            if "default" in options:
                return None
            raise NoReply(
                f"step {step.name!r} has no reply: it was skipped, or never answered; "
                "ask with default=None and do without"
            )
        rounds = self._state.step(step.name).forward.rounds
        kind = self.definition.step(step.name).reply_type(rounds[-1].subject if rounds else "")
        return cast(E, kind.model_validate_json(to_json(body)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a saga is read-only in its step functions; {name!r} cannot be set")

    @classmethod
    def _view(cls, state: SagaState) -> Saga[S]:
        view = object.__new__(cls)
        object.__setattr__(view, "_state", state)
        return view


def steps_before(where: str, after: Sequence[Step[Any]] | None) -> tuple[Step[Any], ...] | None:
    """These steps; None: the one declared before."""
    if after is None:
        return None
    for one in cast("Sequence[object]", after):
        if not isinstance(one, Step):
            raise DefinitionError(
                f"{where}: expected after= to hold steps of this saga, such as after=[reserve], got {one!r}"
            )
    return tuple(after)


def _plain_function(build: Callable[..., Any]) -> None:
    if not inspect.isfunction(build):
        raise DefinitionError(
            f"expected a plain function that builds a command, got {build!r}; write it with def"
        )
    if len(inspect.signature(build).parameters) != 1:
        raise DefinitionError(
            f"step function {build.__name__!r}: expected self as its only parameter, "
            f"got {inspect.signature(build)}; what it needs is in self.key, self.start and self.reply(step)"
        )
    if inspect.iscoroutinefunction(build) or inspect.isasyncgenfunction(build):
        raise DefinitionError(
            f"step function {build.__name__!r} is a coroutine; expected a plain function that builds a "
            "command. Let a participant do the I/O"
        )


def _positive(where: str, value: timedelta) -> None:
    if not timedelta(0) < value <= LONGEST:
        raise DefinitionError(
            f"{where!r}: expected a time limit of more than nothing and at most a century, got {value}"
        )


def _steps(cls: type) -> list[Step[Any]]:
    """The steps in the order of their declaration; a subclass may replace one in its place."""
    found: dict[str, Step[Any]] = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            if isinstance(value, (Step, Compensation, Announcement)):
                _check_name(cls, attribute)
            if not isinstance(value, Step):
                continue
            if attribute != value.name:
                raise DefinitionError(
                    f"{cls.__name__}.{attribute} is the step {value.name!r} under a second name; "
                    "two steps must not share one function"
                )
            found[value.name] = value
    return list(found.values())


def _check_name(cls: type, name: str) -> None:
    if hasattr(Saga, name) or name in Saga.__annotations__:
        raise DefinitionError(
            f"{cls.__name__}.{name}: every saga has an attribute of this name already; give the step another"
        )
    if not name.isascii():
        raise DefinitionError(
            f"{cls.__name__}.{name}: expected a name in ASCII, because it travels in headers"
        )


def _start_type(cls: type) -> type[Event]:
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            if get_origin(generic) is Saga and isinstance(get_args(generic)[0], type):
                start = cast("type[Event]", get_args(generic)[0])
                if not start.subject:
                    raise DefinitionError(f"{cls.__name__}: its start event {start.__name__} has no subject")
                return start
    raise DefinitionError(f"{cls.__name__}: expected Saga[StartEvent] as its base, got a bare Saga")


def _compiled(saga: str, steps: Sequence[Step[Any]], known: dict[str, Any]) -> tuple[StepDefinition, ...]:
    compiled: list[StepDefinition] = []
    for step in steps:
        before = compiled[-1:] if step.after is None else step.after
        names = tuple(dict.fromkeys(one.name for one in before))
        compiled.append(step.compiled(saga, names, known))
    return tuple(compiled)
