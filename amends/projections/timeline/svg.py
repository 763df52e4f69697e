"""The picture as SVG: one file, without scripts or fonts of its own, readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from textwrap import wrap
from typing import Final

from amends.projections.timeline.chart import Bar, Chart, Kind, Lane, Mark, Sign
from amends.projections.timeline.scale import elapsed, positions
from amends.projections.timeline.terminal import SIGNS

_CHART: Final = 720.0
_ROW: Final = 54
_TOP: Final = 76
_LETTER: Final = 7.6  # the width of a letter, about
_MOST: Final = 105  # letters of a line of a note
_AXIS_GAP: Final = 12

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
    ".suspended{stroke-width:10;stroke-opacity:.35}.open{stroke:#4c8bd6}.page{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.note,.time{fill:#999}.grid{stroke:#444}.page{fill:#1c1f24}}"
)


def svg(made: Chart) -> str:
    """The picture as a document."""
    left = max(len(lane.name) for lane in made.all) * _LETTER + 28
    width, height = left + _CHART + 64, _TOP + len(made.all) * _ROW + 40
    xs = {instant: left + at for instant, at in positions(made.instants, _CHART).items()}
    size = f'viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(made.title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height}"/>',
        f'<text class="title" x="14" y="26">{escape(made.title)}: {escape(made.status)}</text>',
        f'<text class="note" x="14" y="44">{made.about}</text>',
        *_axis(made, xs, height - 40),
    ]
    for number, lane in enumerate(made.all):
        lines += _lane(lane, xs, _TOP + number * _ROW + 16, left + _CHART + 24)
    lines += [*_legend(made, height - 14), "</svg>"]
    return "\n".join(lines) + "\n"


def _axis(made: Chart, xs: Mapping[datetime, float], bottom: int) -> Iterator[str]:
    free = 0.0
    now = f"now +{elapsed(made.now - made.begin)}" if made.now else ""
    room = max(xs.values()) - (_AXIS_GAP if now else -_CHART)
    if now:
        yield f'<text class="time" x="{max(xs.values()):.1f}" y="{_TOP - 14}">{now}</text>'
    for instant, x in xs.items():
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}"/>'
        text = f"+{elapsed(instant - made.begin)}" if instant != made.begin else "0"
        if x >= free and x + len(text) * _LETTER <= room:
            yield f'<text class="time" x="{x:.1f}" y="{_TOP - 14}">{text}</text>'
            free = x + len(text) * _LETTER + _AXIS_GAP


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
        yield f'<text class="note" x="{min(xs.values()):.1f}" y="{y + 22 + number * 13}">{escape(words)}</text>'


def _bar(bar: Bar, xs: Mapping[datetime, float], y: int, end: float) -> Iterator[str]:
    begin, until = xs[bar.begin], xs[bar.end] if bar.end else end
    colour = f' stroke="{_COLOURS[bar.sign]}"' if bar.sign else ""
    look = f"{bar.kind} open" if not bar.sign else str(bar.kind)
    number = f" {bar.number}" if bar.kind is Kind.ASKED else ""
    told = f"{bar.kind}{number}: {_utc(bar.begin)} – {_utc(bar.end) if bar.end else 'goes on'}"
    yield (
        f'<line class="{look}" x1="{begin:.1f}" x2="{max(until, begin + 2):.1f}" y1="{y}" y2="{y}"{colour}>'
        f"<title>{escape(told)}</title></line>"
    )
    if bar.sign is not None:
        yield _sign(until, y, bar.sign, f"{bar.sign} at {_utc(bar.end)}")


def _sign(x: float, y: int, sign: Sign, told: str) -> str:
    return (
        f'<g><title>{escape(told)}</title><circle cx="{x:.1f}" cy="{y}" r="8" fill="{_COLOURS[sign]}"/>'
        f'<text x="{x:.1f}" y="{y + 4}" text-anchor="middle" style="fill:#fff;font-size:11px">{SIGNS[sign]}</text></g>'
    )


def _tell(mark: Mark) -> str:
    return f"{mark.sign} at {_utc(mark.at)}{': ' if mark.text else ''}{mark.text}"


def _legend(made: Chart, y: int) -> Iterator[str]:
    signs = {bar.sign for lane in made.all for bar in lane.bars} | {
        mark.sign for lane in made.all for mark in lane.marks
    }
    x = 22.0
    for sign in (each for each in Sign if each in signs):
        yield _sign(x, y - 4, sign, str(sign))
        yield f'<text class="note" x="{x + 13:.1f}" y="{y}">{sign}</text>'
        x += 32 + len(sign) * 6.8


def _utc(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC" if at else ""
