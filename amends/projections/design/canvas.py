"""A sheet of characters to draw boxes and lines on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_LINES: Final[Mapping[int, str]] = {
    UP: "│",
    DOWN: "│",
    UP | DOWN: "│",
    LEFT: "─",
    RIGHT: "─",
    LEFT | RIGHT: "─",
    UP | LEFT: "╯",
    UP | RIGHT: "╰",
    DOWN | LEFT: "╮",
    DOWN | RIGHT: "╭",
    UP | DOWN | LEFT: "┤",
    UP | DOWN | RIGHT: "├",
    UP | LEFT | RIGHT: "┴",
    DOWN | LEFT | RIGHT: "┬",
    UP | DOWN | LEFT | RIGHT: "┼",
}


@dataclass(frozen=True)
class Frame:
    """The characters of a box's border: corners from the top left clockwise, then horizontal and vertical."""

    corners: str
    horizontal: str
    vertical: str


class Canvas:
    """Cells by row and column, each a character and the name of its style."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], tuple[str, str]] = {}
        self.height = 0

    def write(self, row: int, column: int, text: str, style: str = "") -> None:
        for offset, character in enumerate(text):
            self._cells[row, column + offset] = (character, style)
        self.height = max(self.height, row + 1)

    def line(self, row: int, column: int, directions: int) -> None:
        self.write(row, column, _LINES[directions], "line")

    def box(self, row: int, column: int, width: int, lines: Sequence[tuple[str, str]], frame: Frame) -> None:
        """Text in a frame; the first line stands in the upper border. Each line is text and style."""
        (title, style), *body = lines
        top = f"{frame.corners[0]}{frame.horizontal} {shortened(title, width - 6)} "
        self.write(row, column, top.ljust(width - 1, frame.horizontal) + frame.corners[1], style)
        for below, (text, look) in enumerate(body, start=row + 1):
            self.write(below, column, frame.vertical.ljust(width - 1) + frame.vertical, style)
            self.write(below, column + 2, shortened(text, width - 4), look)
        bottom = frame.corners[3] + frame.horizontal * (width - 2) + frame.corners[2]
        self.write(row + len(lines), column, bottom, style)

    def rows(self) -> Iterator[list[tuple[str, str]]]:
        """Each row as runs of one style."""
        for row in range(self.height):
            columns = [column for at, column in self._cells if at == row]
            cells = [self._cells.get((row, c), (" ", "")) for c in range(max(columns, default=-1) + 1)]
            yield [
                ("".join(c for c, _ in run), style) for style, run in groupby(cells, key=lambda cell: cell[1])
            ]


def shortened(text: str, width: int) -> str:
    """The text, cut where it is too long."""
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def plain(rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    """The drawing as text."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows) + "\n"
