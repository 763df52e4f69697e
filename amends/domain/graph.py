"""The order of a definition's steps, told once so that no decision has to search for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Graph:
    """What comes before and after each step, directly or not; and on which side of the pivot it stands.

    Without a pivot every step stands before it.
    """

    before: Mapping[str, Names]
    after: Mapping[str, Names]
    before_pivot: Names
    after_pivot: Names

    @classmethod
    def of(cls, predecessors: Mapping[str, Sequence[str]], pivot: str | None) -> Graph:
        """The graph of these steps, each named after its predecessors."""
        before: dict[str, Names] = {}
        for name, direct in predecessors.items():
            before[name] = frozenset(direct).union(*(before.get(one, frozenset()) for one in direct))
        after = {name: frozenset(other for other in before if name in before[other]) for name in before}
        if pivot is None:
            return cls(before, after, frozenset(before), frozenset())
        return cls(before, after, before[pivot], after[pivot])
