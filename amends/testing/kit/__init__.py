"""The testing kit: scenarios for a user's own tests."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from amends.domain.choreography.definition import Choreography
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.handlers.manager import ProcessManager
from amends.domain.saga import Saga
from amends.testing.exploring.purity import called_twice
from amends.testing.kit.memory import MemorySystem
from amends.testing.kit.scenario import Scenario
from amends.testing.kit.system import System

if TYPE_CHECKING:
    from amends.testing.kit.embedded import EmbeddedServers


AnySaga: TypeAlias = type[Saga[Any]] | type[ProcessManager[Any]] | type[Choreography]


class SagaTest(Protocol):
    """What the fixture `saga_test` gives."""

    def __call__(self, saga: AnySaga, /) -> Scenario:
        """A scenario of this saga, which ends with the test."""
        ...


class Kit:
    """Makes the scenarios of one test, in memory or, given servers, on them; leaving it ends them."""

    def __init__(self, servers: EmbeddedServers | None = None) -> None:
        self._servers = servers
        self._made: list[Scenario] = []

    def scenario(self, saga: AnySaga) -> Scenario:
        """A scenario of this saga. Its functions are called twice, and must do the same twice."""
        made = Scenario(saga.definition, self._system(called_twice(saga.definition)))
        self._made.append(made)
        return made

    def _system(self, definition: AnyDefinition) -> System:
        if self._servers is None:
            return MemorySystem(definition)
        return self._servers.system(definition)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made in self._made:
            made.close()
