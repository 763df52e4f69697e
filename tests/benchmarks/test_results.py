"""Results outlive an interruption, and the page says what the file says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from amends.cli.bench.figure import Figure
from benchmarks.page import BEGIN, END, PAGE, written
from benchmarks.results import Results


def saturated(subject: str, rate: float) -> Figure:
    return Figure(subject, "saturated", "sagas/s", (rate,))


def measured(path: Path) -> Results:
    results = Results(path)
    results.add("A", 1, 61.04, [saturated("A", 1500), Figure("A", "WAL", "bytes/saga", (9000.0,))])
    results.add("dbos", 1, 9, [saturated("DBOS", 100)])
    results.add("A", 2, 60, [saturated("A", 1800)])
    results.add("dbos", 2, 9, [saturated("DBOS", 90)])
    return results


def test_a_file_that_is_read_again_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    measured(path)
    again = Results(path)
    assert again.has("A", 2)
    assert not again.has("A", 3)
    again.add("A", 3, 60, [saturated("A", 1700)])
    read = json.loads(path.read_text())
    part = read["parts"][0]
    assert (part["part"], part["round"], part["seconds"]) == ("A", 1, 61.0)
    first = read["figures"][0]
    assert (first["subject"], first["values"]) == ("A", [1500, 1800, 1700])
    assert (first["median"], first["min"], first["max"]) == (1700, 1500, 1800)


def test_ratios_are_taken_within_a_round(tmp_path: Path) -> None:
    results = measured(tmp_path / "results.json")
    results.add("A", 3, 60, [saturated("A", 1)])
    [ratio] = [figure for figure in results.figures() if figure.unit == "×"]
    assert (ratio.subject, ratio.name, ratio.values) == ("in the same round", "A : DBOS", (15.0, 20.0))


def test_latency_at_light_load_is_compared_with_the_prototypes(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    for subject, milliseconds in (("A", 12.0), ("prototype", 8.0), ("B", 30.0)):
        results.add(subject, 1, 1, [Figure(subject, "latency at 20/s, p99", "ms", (milliseconds,))])
    [ratio] = [figure for figure in results.figures() if figure.unit == "×"]
    assert (ratio.name, ratio.values) == ("A : prototype, p99 at 20/s", (1.5,))


def test_the_page_shows_what_is_in_the_file_in_place_of_what_it_had(tmp_path: Path) -> None:
    results = measured(tmp_path / "results.json").as_json()
    once = written(f"above\n{BEGIN}\nold\n{END}\nbelow\n", results)
    assert once.startswith("above\n")
    assert once.endswith("below\n")
    assert "old" not in once
    assert "| A | 1,650 | 1,500 – 1,800 | 2 | sagas/s |" in once
    assert "| A : DBOS | 17.5 | 15.0 – 20.0 | 2 | × |" in once
    assert "](benchmarks.svg)" in once
    assert written(once, results) == once


def test_the_page_has_a_and_b_side_by_side(tmp_path: Path) -> None:
    results = measured(tmp_path / "results.json")
    results.add("B", 1, 60, [saturated("B", 700)])
    page = written(f"{BEGIN}\n{END}\n", results.as_json())
    assert "| saturated | 1,650 | 1,500 – 1,800 | 700 | 700 – 700 | sagas/s |" in page
    assert "| WAL | 9,000 | 9,000 – 9,000 |  |  | bytes/saga |" in page


def test_the_page_has_a_place_for_results_and_their_drawing() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.index(BEGIN) < page.index("](benchmarks.svg)") < page.index(END)
    assert PAGE.with_suffix(".svg").exists()


def test_results_that_were_never_drawn_do_not_reach_the_page(tmp_path: Path) -> None:
    measured(tmp_path / "results.json")
    before = PAGE.read_bytes()
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.page", tmp_path / "results.json"],
        check=False, cwd=PAGE.parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 2
    assert "expected the drawing of these results beside them" in made.stderr
    assert PAGE.read_bytes() == before
