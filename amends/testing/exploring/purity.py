"""Step functions and handlers must be pure: each is called twice, and must do the same twice."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from amends.domain.definition import AnyCommand, Asking, Definition
from amends.domain.errors import AmendsError
from amends.domain.handlers.actions import Action
from amends.domain.handlers.definition import AnyDefinition, Handle


class NotPure(AmendsError):
    """A function made two different things of the same facts: it reads a clock, chance or the world."""


def called_twice(definition: AnyDefinition) -> AnyDefinition:
    """The same definition, whose functions raise `NotPure` where two calls differ."""
    if not isinstance(definition, Definition):
        return replace(
            definition,
            on_start=_handled_twice(definition.on_start),
            on_event=_handled_twice(definition.on_event),
            on_rejected=_handled_twice(definition.on_rejected),
            on_timeout=_handled_twice(definition.on_timeout),
        )
    steps = tuple(
        replace(
            step,
            forward=_called_twice(step.forward, step.name),
            compensation=step.compensation and _called_twice(step.compensation, f"undoing {step.name}"),
        )
        for step in definition.steps
    )
    return replace(definition, steps=steps)


def _called_twice(asking: Asking, where: str) -> Asking:
    def build(view: Any) -> AnyCommand | None:
        first, second = asking.build(view), asking.build(view)
        if first != second:
            raise NotPure(
                f"{where}: expected its function to build the same command from the same facts; got {first!r} and "
                f"then {second!r}. Take time and chance from the start event or a reply, not from the world"
            )
        return first

    return replace(asking, build=build)


def _handled_twice(handlers: Mapping[str, Handle]) -> Mapping[str, Handle]:
    return {name: _handling_twice(name, handle) for name, handle in handlers.items()}


def _handling_twice(name: str, handle: Handle) -> Handle:
    def both(view: Any, *told: Any) -> list[Action]:
        twin = copy(view)
        object.__setattr__(twin, "state", view.state.model_copy(deep=True))
        first, second = list(handle(view, *told) or ()), list(handle(twin, *told) or ())
        if (first, view.state) != (second, twin.state):
            raise NotPure(
                f"{name}: expected its handler to decide the same from the same facts; got {first!r} and then "
                f"{second!r}. Take time and chance from the event, not from the world"
            )
        return first

    return both
