"""The picture as SVG: one file, without scripts or fonts of its own, readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from textwrap import wrap
from typing import Final

from amends.projections.timeline.axis import LABEL_LINES, labels
from amends.projections.timeline.chart import Bar, Chart, Kind, Lane, Mark, Sign
from amends.projections.timeline.scale import positions
from amends.projections.timeline.terminal import SIGNS, WORDS
from amends.projections.times import utc

_CHART: Final = 720.0
_ROW: Final = 54
_LEFT: Final = 22.0  # of the legend
_LEGEND_LINE: Final = 22
_LINE: Final = 13
_TOP: Final = 62 + LABEL_LINES * _LINE
_LETTER: Final = 7.6  # the width of a letter, about
_SMALL_LETTER: Final = 6.8
_MOST: Final = 105  # letters of a line of a note

_COLOURS: Final[Mapping[Sign, str]] = {
    Sign.SUCCEEDED: "#2e9e5b",
    Sign.REJECTED: "#d1453b",
    Sign.FAILED: "#d9822b",
    Sign.TIMED_OUT: "#b58900",
    Sign.STARTED: "#5b7083",
    Sign.TURNED_BACK: "#d9822b",
    Sign.ENDED: "#5b7083",
    Sign.PARKED: "#c2308f",
    Sign.OPERATOR: "#7a52c7",
    Sign.SKIPPED: "#8a97a3",
    Sign.GIVEN_UP: "#d1453b",
    Sign.DEADLINE: "#d1453b",
    Sign.CONTRADICTION: "#c2308f",
}
_STYLE: Final = (
    "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#333}.title{font-size:15px;font-weight:bold}"
    ".note,.time{font-size:11px;fill:#777}.grid{stroke:#ccc;stroke-width:1}"
    ".asked{stroke-width:10}.delay{stroke-width:2;stroke-dasharray:3 4}.wait{stroke-width:5;stroke-dasharray:8 3}"
    ".held{stroke-width:3;stroke-dasharray:1 3}.suspended{stroke-width:10;stroke-opacity:.35}"
    ".open{stroke:#4c8bd6}.page{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.note,.time{fill:#999}.grid{stroke:#444}.page{fill:#1c1f24}}"
)


def svg(made: Chart) -> str:
    """The picture as a document."""
    left = max(len(lane.name) for lane in made.all) * _LETTER + 28
    width, bottom = left + _CHART + 64, _TOP + len(made.all) * _ROW
    legend, height = _legend(made, width, bottom + 26)
    xs = {instant: left + at for instant, at in positions(made.instants, _CHART).items()}
    size = f'viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(made.title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height}"/>',
        f'<text class="title" x="14" y="26">{escape(made.title)}: {escape(made.status)}</text>',
        f'<text class="note" x="14" y="44">{made.about}</text>',
        *_axis(made, xs, width - 14, bottom),
    ]
    for number, lane in enumerate(made.all):
        lines += _lane(lane, xs, _TOP + number * _ROW + 16, left + _CHART + 24)
    lines += [*legend, "</svg>"]
    return "\n".join(lines) + "\n"


def _axis(made: Chart, xs: Mapping[datetime, float], width: float, bottom: int) -> Iterator[str]:
    for x in xs.values():
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}"/>'
    for label in labels(made, xs, width, _SMALL_LETTER):
        y = _TOP - 14 - label.line * _LINE
        yield f'<text class="time" x="{label.begin:.1f}" y="{y}">{label.text}</text>'


def _lane(lane: Lane, xs: Mapping[datetime, float], y: int, end: float) -> Iterator[str]:
    yield f'<text x="14" y="{y + 4}">{escape(lane.name)}</text>'
    for bar in lane.bars:
        yield from _bar(bar, xs, y, end)
    beside: dict[datetime, int] = {bar.end: 1 for bar in lane.bars if bar.end and bar.sign}
    for mark in lane.marks:
        place = beside.get(mark.at, 0)
        beside[mark.at] = place + 1
        yield _sign(xs[mark.at] + place * 18, y, mark.sign, _tell(mark))
    for number, words in enumerate(wrap(lane.words, _MOST, max_lines=2, placeholder=" …")):
        yield f'<text class="note" x="{min(xs.values()):.1f}" y="{y + 22 + number * _LINE}">{escape(words)}</text>'


def _bar(bar: Bar, xs: Mapping[datetime, float], y: int, end: float) -> Iterator[str]:
    begin, until = xs[bar.begin], xs[bar.end] if bar.end else end
    colour = f' stroke="{_COLOURS[bar.sign]}"' if bar.sign else ""
    look = f"{bar.kind} open" if not bar.sign else str(bar.kind)
    number = f" {bar.number}" if bar.kind is Kind.ASKED else ""
    told = f"{bar.kind}{number}: {utc(bar.begin)} – {utc(bar.end) if bar.end else 'goes on'}"
    yield (
        f'<line class="{look}" x1="{begin:.1f}" x2="{max(until, begin + 2):.1f}" y1="{y}" y2="{y}"{colour}>'
        f"<title>{escape(told)}</title></line>"
    )
    if bar.end is not None and bar.sign is not None:
        yield _sign(until, y, bar.sign, f"{bar.sign} at {utc(bar.end)}")


def _sign(x: float, y: int, sign: Sign, told: str) -> str:
    return (
        f'<g><title>{escape(told)}</title><circle cx="{x:.1f}" cy="{y}" r="8" fill="{_COLOURS[sign]}"/>'
        f'<text x="{x:.1f}" y="{y + 4}" text-anchor="middle" style="fill:#fff;font-size:11px">{SIGNS[sign]}</text></g>'
    )


def _tell(mark: Mark) -> str:
    return f"{mark.sign} at {utc(mark.at)}{': ' if mark.text else ''}{mark.text}"


def _legend(made: Chart, width: float, y: int) -> tuple[list[str], int]:
    """What the lines and signs mean that occur, from `y` on in as many lines as it takes; and where it ends."""
    bars = [bar for lane in made.all for bar in lane.bars]
    kinds = {bar.kind for bar in bars}
    signs = {bar.sign for bar in bars} | {mark.sign for lane in made.all for mark in lane.marks}
    lines: list[str] = []
    x = _LEFT
    terms: list[Kind | Sign] = [*(kind for kind in Kind if kind in kinds), *(s for s in Sign if s in signs)]
    for each in terms:
        words = WORDS[each] if isinstance(each, Kind) else str(each)
        room = 32 + len(words) * _SMALL_LETTER
        if x + room > width:
            x, y = _LEFT, y + _LEGEND_LINE
        lines += [_sample(each, x, y - 4), f'<text class="note" x="{x + 13:.1f}" y="{y}">{words}</text>']
        x += room
    return lines, y + 14


def _sample(each: Kind | Sign, x: float, y: int) -> str:
    if isinstance(each, Sign):
        return _sign(x, y, each, str(each))
    return f'<line class="{each} open" x1="{x - 8:.1f}" x2="{x + 8:.1f}" y1="{y}" y2="{y}"/>'
