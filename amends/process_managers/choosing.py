"""Which sagas a job is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from pydantic import TypeAdapter

from amends.domain.events import JsonObject
from amends.domain.state import SagaState
from amends.infrastructure.jobs import Jobs
from amends.infrastructure.ports import Loaded, Store

_PAGE: Final = 500

Condition = Literal["running", "compensating", "suspended", "parked", "quarantined"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Unfinished sagas for which all that is given holds.

    `saga` is the type, `version` that of the definition; `step` one that is asked for, waits or is being undone;
    `older_than` how long ago it started; `error` a part of the last error of what it waits for, or of its
    quarantine. One that never began has no step, and is of any age.
    """

    saga: str | None = None
    condition: Condition | None = None
    version: int | None = None
    step: str | None = None
    older_than: timedelta | None = None
    error: str | None = None

    def to_data(self) -> JsonObject:
        """What was given, as JSON."""
        data: JsonObject = TypeAdapter(Choice).dump_python(self, mode="json")
        return {name: value for name, value in data.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A saga that was chosen; `state` is None where it never began, or cannot be read."""

    saga_id: UUID
    state: SagaState | None


async def choose(store: Store, jobs: Jobs, choice: Choice) -> AsyncIterator[Chosen]:
    """The sagas, in the order of ids; their histories are read a page at a time."""
    errors = {each.saga_id: each.error for each in await store.quarantined(limit=1_000_000)}
    after: UUID | None = None
    while page := await jobs.choose(choice.saga, choice.version, after, _PAGE):
        loaded = await store.load(page, in_quarantine=True)
        for saga_id in page:
            aggregate = loaded.aggregates.get(saga_id)
            chosen = Chosen(saga_id, aggregate.state if aggregate else None)
            if _holds(choice, chosen, loaded, errors):
                yield chosen
        after = page[-1]


def _holds(choice: Choice, chosen: Chosen, loaded: Loaded, errors: Mapping[UUID, str]) -> bool:
    state = chosen.state
    said = [*_errors(state), errors.get(chosen.saga_id, "")]
    return (
        _is_so(choice.condition, state, quarantined=chosen.saga_id in loaded.quarantined)
        and (choice.step is None or choice.step in _steps(state))
        and (choice.error is None or any(choice.error in each for each in said))
        and (choice.older_than is None or state is None or _age(state, loaded.now) >= choice.older_than)
    )


def _is_so(condition: Condition | None, state: SagaState | None, *, quarantined: bool) -> bool:
    match condition:
        case None:
            return True
        case "quarantined":
            return quarantined
        case "suspended":
            return state is not None and bool(state.suspended)
        case "parked":
            return state is not None and state.parked
        case _:
            return state is not None and state.status == condition


def _steps(state: SagaState | None) -> set[str]:
    if state is None:
        return set()
    return {step.name for step, _, _ in state.active()} | {step.name for step, _ in state.waits()}


def _errors(state: SagaState | None) -> Iterator[str]:
    if state is not None:
        yield from (line.error for _, _, line in state.active())


def _age(state: SagaState, now: datetime) -> timedelta:
    return now - state.started
