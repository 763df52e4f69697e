"""Step functions must be pure: each is called twice, and must build the same twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from amends.domain.definition import AnyCommand, Asking, Definition
from amends.domain.errors import AmendsError


class NotPure(AmendsError):
    """A step function built two different commands from the same facts: it reads a clock, chance or the world."""


def called_twice(definition: Definition) -> Definition:
    """The same definition, whose functions raise `NotPure` where two calls differ."""
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
