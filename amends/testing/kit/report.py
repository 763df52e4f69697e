"""What an assertion shows: what the test said, and beside it what the saga recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

from amends.domain.history import Recorded
from amends.projections.story import sentence

_LEFT = 42
_RIGHT = 76


class Script:
    """What the test said so far, and how far the history was at each point."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, int]] = []

    def add(self, text: str, version: int) -> None:
        """The test said this when the history had so many events."""
        self._lines.append((text, version))

    def beside(self, history: Sequence[Recorded]) -> Iterator[str]:
        """Each line of the script beside what was recorded after it."""
        yield f"{'the test':{_LEFT}}  what was recorded"
        ends = [version for _, version in self._lines[1:]] + [len(history)]
        for (text, begin), end in zip(self._lines, ends, strict=True):
            told = [line for recorded in history[begin:end] for line in _sentence(recorded)]
            for left, right in zip_longest(wrap(text, _LEFT), told, fillvalue=""):
                yield f"{left:{_LEFT}}  {right}".rstrip()


def _sentence(recorded: Recorded) -> list[str]:
    first, *more = wrap(sentence(recorded.event), _RIGHT - 5)
    return [f"{recorded.originator_version:>3}  {first}", *(f"     {line}" for line in more)]


def failure(expected: str, came: str, script: Script, history: Sequence[Recorded], title: str) -> str:
    """The whole text of an assertion error."""
    lines = [f"expected {expected}", f"     got {came}", "", title, *script.beside(history)]
    return "\n".join(lines)
