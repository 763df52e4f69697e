"""What a definition's functions see of a saga, and make of it: it tells which states and start events are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from amends.domain.definition import AnyCommand, Asking, Definition
from amends.domain.events import JsonObject
from amends.domain.handlers.definition import AnyDefinition
from amends.domain.state import SagaState, StepState


@dataclass
class Calls:
    """Every call of a step function in one exploration: what it saw, and the subject of what it built."""

    _definition: AnyDefinition
    read: set[str] = field(default_factory=set[str])
    """The steps whose replies a function has looked at."""
    _made: list[tuple[Asking, SagaState, str]] = field(default_factory=list["tuple[Asking, SagaState, str]"])

    def watched(self) -> AnyDefinition:
        """The definition, whose calls are noted here."""
        if not isinstance(self._definition, Definition):
            return self._definition
        steps = (
            replace(
                step,
                forward=self._watched(step.forward),
                compensation=step.compensation and self._watched(step.compensation),
            )
            for step in self._definition.steps
        )
        return replace(self._definition, steps=tuple(steps), view=self._view)

    def same_from(self, start: JsonObject) -> bool:
        """Another start event would have led the same way in every case: it need not be explored."""
        if not isinstance(self._definition, Definition) or _asks_otherwise(self._definition):
            return False
        return all(
            self._subject(asking, state.but(start=start)) == subject for asking, state, subject in self._made
        )

    def _view(self, state: SagaState) -> Any:
        return self._definition.view(state.but(steps=_Steps(state.steps, self.read)))

    def _watched(self, asking: Asking) -> Asking:
        def build(view: Any) -> AnyCommand | None:
            command = asking.build(view)
            self._made.append((asking, view._state, command.subject if command else ""))
            return command

        return replace(asking, build=build)

    def _subject(self, asking: Asking, state: SagaState) -> str | None:
        try:
            command = asking.build(self._definition.view(state))
        except Exception:  # noqa: BLE001 - the exploration will find it
            return None
        return command.subject if command else ""


class _Steps(dict[str, StepState]):
    """What is known of the steps; it notes of which ones it was asked."""

    def __init__(self, steps: Mapping[str, StepState], asked: set[str]) -> None:
        super().__init__(steps)
        self._asked = asked

    def get(self, name: str, default: Any = None) -> Any:
        self._asked.add(name)
        return super().get(name, default)


def _asks_otherwise(definition: Definition) -> bool:
    """It has functions that are not watched: which event is the right one, and what is published."""
    functions = ((step.wait and step.wait.where, step.announces) for step in definition.steps)
    return any(one is not None for each in functions for one in each)
