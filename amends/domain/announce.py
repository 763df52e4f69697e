"""How a step is written that publishes an event and waits for nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NoReturn, Protocol, TypeVar, cast, overload

from amends.domain.annotations import returned_events
from amends.domain.announcing import Announcing
from amends.domain.definition import ASKS_NOBODY, StepDefinition
from amends.domain.errors import DefinitionError
from amends.domain.messages import Event
from amends.domain.policy import Retry
from amends.domain.saga import Build, Step

E = TypeVar("E", bound=Event)

Tell = Callable[[Any], E | None]


class AnnounceStep(Step[E]):
    """A step that publishes an event; made by `announce`."""

    def __init__(self, build: Tell[E], *, after: Sequence[Step[Any]] | None, pivot: bool) -> None:
        super().__init__(cast("Build[E]", build), after=after, pivot=pivot)
        self.tell = build

    def compensate(self, *_: Any, **__: Any) -> NoReturn:
        """An event cannot be taken back. Raises `DefinitionError`."""
        raise DefinitionError(
            f"step {self.name!r} publishes an event, which cannot be taken back, so it has no compensation; "
            "put it behind whatever may still fail"
        )

    def when_rejected(self, build: Any, /) -> NoReturn:
        """Nobody can say no to an event. Raises `DefinitionError`."""
        raise DefinitionError(f"step {self.name!r} publishes an event, to which nobody can say no")

    def with_options(self, *, timeout: timedelta | None = None, retry: Retry | None = None) -> NoReturn:
        """There is nothing to be chosen. Raises `DefinitionError`."""
        raise DefinitionError(
            f"step {self.name!r} publishes an event: there is nothing to wait for or to retry"
        )

    def compiled(self, saga: str, after: tuple[str, ...], known: dict[str, Any]) -> StepDefinition:
        """The step as data."""
        announces = Announcing(self.tell, returned_events(saga, self.tell, known))
        return StepDefinition(
            self.name, ASKS_NOBODY, None, pivot=self.pivot, after=after, announces=announces
        )


class _Announce(Protocol):
    def __call__(self, build: Tell[E], /) -> Step[E]: ...


@overload
def announce(build: Tell[E], /) -> Step[E]: ...
@overload
def announce(*, after: Sequence[Step[Any]] | None = None, pivot: bool = False) -> _Announce: ...
def announce(
    build: Tell[Any] | None = None,
    /,
    *,
    after: Sequence[Step[Any]] | None = None,
    pivot: bool = False,
) -> Step[Any] | _Announce:
    """Makes a step of a function that builds an event, which is published, or returns None to skip.

    The step is done when that is recorded: nobody is waited for. An event that starts sagas of another type starts
    one so; the two know nothing of each other afterwards. `after` and `pivot` as for `@step`.
    """

    def decorate(build: Tell[E], /) -> Step[E]:
        return AnnounceStep[E](build, after=after, pivot=pivot)

    return decorate if build is None else decorate(build)
