"""Ids that were seen: a set that only grows, kept once for all the states that came one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import islice


class Seen(Set[str]):
    """An immutable set. `adding` makes a larger one that shares its ids, so that a history of thousands of events does
    not copy them for each.
    """

    def __init__(self, ids: dict[str, int] | None = None, size: int = 0) -> None:
        # With their places: those from `size` on are later ones.
        self._ids: dict[str, int] = {} if ids is None else ids
        self._size = size

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self._ids.get(item, self._size) < self._size

    def __iter__(self) -> Iterator[str]:
        return islice(self._ids, self._size)

    def __len__(self) -> int:
        return self._size

    def adding(self, id_: str) -> Seen:
        """The same ids and this one."""
        if id_ in self:
            return self
        latest = len(self._ids) == self._size
        ids = self._ids if latest else {each: place for place, each in enumerate(self)}
        ids[id_] = self._size
        return Seen(ids, self._size + 1)
