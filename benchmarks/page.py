"""Put results into the written page: `python -m benchmarks.page [RESULTS.json]`.

What stands in docs/benchmarks.md between the two marks is made from the file, and so is the drawing beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from amends.cli.bench.figure import Figure
from amends.cli.bench.showing import plain
from benchmarks.results import TOGETHER

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- measured: made by benchmarks/page.py -->"
COMPARED: Final = ("A", "B")
END: Final = "<!-- end of what was measured -->"


def written(page: str, results: dict[str, Any]) -> str:
    """The page with these results in place of those that it had."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    lines = [BEGIN, *section(results), END]
    return before + "\n".join(lines) + after


def section(results: dict[str, Any]) -> Iterator[str]:
    runs = max(part["round"] for part in results["parts"])
    days = sorted({part["at"][:10] for part in results["parts"]})
    loads = [part["load_average"] for part in results["parts"]]
    yield ""
    yield (
        f"Amends {results['amends']}, its core {results.get('core', 'interpreted')}, Python {results['python']}, "
        f"{results['system']}, everything on it; "
        f"{' and '.join(days)}, {runs} {'run' if runs == 1 else 'runs'}, load average {min(loads)} to {max(loads)}."
    )
    yield ""
    yield "![Throughput, latency and CPU: bars are medians, lines go from the least to the most](benchmarks.svg)"
    figures = [Figure.from_json(each) for each in results["figures"]]
    saturated = [figure for figure in figures if figure.name == "saturated"]
    yield from table("saturated", ((figure.subject, figure) for figure in saturated))
    yield from table(TOGETHER, ((figure.name, figure) for figure in figures if figure.subject == TOGETHER))
    yield from side_by_side(figures)
    told = {*COMPARED, TOGETHER}
    rest = [figure for figure in figures if figure.subject not in told and figure not in saturated]
    for subject in dict.fromkeys(figure.subject for figure in rest):
        yield from table(subject, ((figure.name, figure) for figure in rest if figure.subject == subject))
    yield ""


def table(title: str, rows: Iterable[tuple[str, Figure]]) -> Iterator[str]:
    yield from ("", f"| {title} | median | least – most | runs | |", "| --- | ---: | ---: | ---: | --- |")
    for name, figure in rows:
        yield f"| {name} | {shown(figure)} | {len(figure.values)} | {figure.unit} |"


def side_by_side(figures: Sequence[Figure]) -> Iterator[str]:
    """A and B, figure for figure."""
    found = {(each.name, each.unit): dict[str, Figure]() for each in figures if each.subject in COMPARED}
    for each in figures:
        if each.subject in COMPARED:
            found[each.name, each.unit][each.subject] = each
    yield from (
        "",
        "| | A | least – most | B | least – most | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    )
    for (name, unit), by_subject in found.items():
        cells = (shown(by_subject[each]) if each in by_subject else " | " for each in COMPARED)
        yield f"| {name} | {' | '.join(cells)} | {unit} |"


def shown(figure: Figure) -> str:
    """Two cells: the median and the spread."""
    return f"{plain(figure.median)} | {plain(min(figure.values))} – {plain(max(figure.values))}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=Path("build/bench/results.json"))
    path = parser.parse_args().results
    drawing = path.with_suffix(".svg")
    if not drawing.exists():
        parser.error(
            f"expected the drawing of these results beside them, in {drawing}; "
            f"`make bench` makes it, and so does `python benchmarks/plot.py {path} {drawing}` with its requirements"
        )
    shutil.copyfile(drawing, PAGE.with_suffix(".svg"))
    results = json.loads(path.read_text(encoding="utf-8"))
    page = written(PAGE.read_text(encoding="utf-8"), results)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
