"""Immutable values, made and changed cheaply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

__all__ = ["Value", "value"]

_new: Final = object.__new__

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool = False) -> Any:
        """`dataclass`, of which only the type checkers know that it is frozen.

        Guarding against assignments when the program runs makes every value five times as slow to make, and a worker
        makes a hundred for each saga.
        """
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)


class Value:
    """An immutable value that is changed by making another.

    What it keeps beside its fields (a `cached_property`) goes along, so that must not depend on a field that changes.
    Folding histories is what a worker does most, and `dataclasses.replace` visits every field in Python;
    copying the dictionary at once takes a tenth of its time. It is why these values have no slots.
    """

    def but(self, **changes: Any) -> Self:
        """The same value with these fields changed."""
        changed = _new(self.__class__)
        changed.__dict__ = self.__dict__ | changes
        return changed
