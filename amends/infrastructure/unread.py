"""A history whose events are read out of their bytes when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from amends.domain.history import Recorded

T = TypeVar("T")


class Unread(Sequence[Recorded], Generic[T]):
    """The events of one saga: whoever asks for a few of them does not pay for all."""

    def __init__(self, stored: Sequence[T], read: Callable[[T], Recorded]) -> None:
        self._stored = stored
        self._read = read

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, index: int) -> Recorded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Recorded]: ...
    def __getitem__(self, index: int | slice) -> Recorded | list[Recorded]:
        """Raises UnreadableEvent."""
        if isinstance(index, slice):
            return [self._read(each) for each in self._stored[index]]
        return self._read(self._stored[index])
