"""Immutable values that are changed by making another."""

from __future__ import annotations

from typing import Any, Self


class Value:
    """An immutable value that is changed by making another.

    Folding histories is what a worker does most, and `dataclasses.replace` visits every field in Python;
    copying the dictionary at once takes a tenth of its time. It is why these values have no slots.
    """

    def but(self, **changes: Any) -> Self:
        """The same value with these fields changed."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        changed.__dict__.update(changes)
        return changed
