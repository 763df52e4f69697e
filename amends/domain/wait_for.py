"""How a step that waits for an event is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, NoReturn, TypeVar

from amends.domain.correlation import PATIENCE, correlation
from amends.domain.definition import ASKS_NOBODY, StepDefinition
from amends.domain.errors import DefinitionError
from amends.domain.messages import Event
from amends.domain.policy import LONGEST, Retry
from amends.domain.saga import Step, steps_before
from amends.domain.waiting import Silence, Waiting

E = TypeVar("E", bound=Event)


class WaitStep(Step[E]):
    """A step that waits for an event; made by `wait_for`, and named by the attribute that holds it."""

    def __init__(self, wait: Waiting, after: Sequence[Step[Any]] | None) -> None:
        super().__init__(_asks_nobody)
        self.name = ""
        self.after = steps_before(f"wait_for({wait.event.event.__name__})", after)
        self.wait = wait

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    def compensate(self, *_: Any, **__: Any) -> NoReturn:
        """A wait has no compensation. Raises `DefinitionError`."""
        raise DefinitionError(
            "a step that waits asks nobody for anything, so there is nothing to undo; "
            "let the step that asked have the compensation"
        )

    def with_options(self, *, timeout: timedelta | None = None, retry: Retry | None = None) -> Step[E]:
        """The same wait with another timeout, for a subclass of its saga. Raises `DefinitionError`."""
        if retry is not None:
            raise DefinitionError(f"step {self.name!r} waits, so there is nothing to retry; take retry= away")
        changed = WaitStep[E](_with_timeout(self.wait, timeout or self.wait.timeout), self.after)
        changed.name = self.name
        changed.rejection = self.rejection
        return changed

    def compiled(self, saga: str, after: tuple[str, ...], known: dict[str, Any]) -> StepDefinition:
        """The step as data."""
        return StepDefinition(
            self.name,
            ASKS_NOBODY,
            None,
            pivot=False,
            after=after,
            wait=self.wait,
            when_rejected=self.telling(saga, known),
        )


def wait_for(  # noqa: PLR0913 - every option is named where it is given
    event: type[E],
    /,
    *,
    timeout: timedelta,
    key: str | Sequence[str] = (),
    after: Sequence[Step[Any]] | None = None,
    where: Callable[[Any, E], bool] | None = None,
    rejected_if: Callable[[E], bool] | None = None,
    rejected_by: type[Event] | None = None,
    on_timeout: Literal["skip", "park"] | None = None,
    missing: Literal["park", "ignore", "dead"] = "park",
    patience: timedelta = PATIENCE,
) -> Step[E]:
    """Makes a step that waits for an event, which is then the step's reply.

    `key` names the fields of the event that hold the saga's key; without it the header `Amends-Key` (or
    `Amends-Saga-Id`, with `Amends-Saga`) tells whose it is. `where(saga, event)` chooses among the events of the
    saga; the others are kept for other steps. `after` as for `@step`.

    An event `rejected_if` which, or one of the type `rejected_by`, is a no; so is silence for `timeout`. After the
    pivot there is no way back, so nothing may be a no there, and `on_timeout` says what silence does: `skip` the
    step, or `park` it for a person and wait on.

    An event that comes before its step is kept. One whose saga does not exist is, as `missing` says, kept for
    `patience` (it may be early), ignored, or made a dead letter.
    """
    where_ = f"wait_for({getattr(event, '__name__', event)})"
    if not timedelta(0) < timeout <= LONGEST:
        raise DefinitionError(
            f"{where_}: expected a timeout of more than nothing and at most a century, got {timeout}"
        )
    if on_timeout is not None and on_timeout not in list(Silence):
        raise DefinitionError(f"{where_}: expected on_timeout to be 'skip' or 'park', got {on_timeout!r}")
    options: dict[str, Any] = {"key": key, "missing": missing, "patience": patience}
    wait = Waiting(
        correlation(where_, event, **options),
        timeout,
        None if rejected_by is None else correlation(where_, rejected_by, **options),
        where,
        rejected_if,
        None if on_timeout is None else Silence(on_timeout),
    )
    return WaitStep[E](wait, after)


def _with_timeout(wait: Waiting, timeout: timedelta) -> Waiting:
    return Waiting(wait.event, timeout, wait.rejection, wait.where, wait.rejected_if, wait.on_timeout)


def _asks_nobody(_: Any) -> None:
    return None
