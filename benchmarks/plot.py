"""Draw the results: `python plot.py RESULTS.json DRAWING`, with matplotlib out of requirements/bench.txt.

Every bar is a median, the line on it goes from the least to the most of all runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "amends"
import matplotlib.pyplot as plt  # noqa: E402 - after the choice of what it draws with

THROUGHPUT = (
    ("prototype", "prototype, without semantics", "#9aa5b1"),
    ("prototype, four services", "prototype, four services", "#b8c2cc"),
    ("prototype, JetStream syncs always", "prototype, every message synced", "#cbd2d9"),
    ("A", "A: echo service", "#2563eb"),
    ("A, JetStream syncs always", "A, every message synced", "#60a5fa"),
    ("B", "B: real services", "#0f766e"),
    ("DBOS", "DBOS", "#d97706"),
)
QUANTILES = ("p50", "p99", "p99.9")
PROCESSES = (
    ("workers", "#2563eb"), ("echo service", "#60a5fa"), ("four services", "#0f766e"), ("PostgreSQL", "#7c3aed"),
    ("NATS", "#d97706"), ("client", "#9aa5b1"),
)  # fmt: skip

Figures = dict[tuple[str, str], dict[str, Any]]


def draw(figures: Figures, path: Path) -> None:
    drawing, (throughput, latency, cost) = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    draw_throughput(throughput, figures)
    draw_latency(latency, figures)
    draw_cost(cost, figures)
    for each in (throughput, latency, cost):
        each.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_throughput(axes: Any, figures: Figures) -> None:
    axes.set_title("Saturated: sagas a second", loc="left")
    found = [
        (title, colour, figures[key])
        for what, title, colour in THROUGHPUT
        if (key := (what, "saturated")) in figures
    ]
    for place, (_, colour, figure) in enumerate(reversed(found)):
        median = figure["median"]
        axes.barh(place, median, color=colour, xerr=spread(figure), capsize=3, ecolor="#374151")
        axes.annotate(
            f"{median:,.0f}", (figure["max"], place), (6, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(found)), [title for title, _, _ in reversed(found)])
    axes.margins(x=0.15)


def draw_latency(axes: Any, figures: Figures) -> None:
    axes.set_title("Light load: milliseconds from start to end", loc="left")
    lines = [("A", 20, "#2563eb"), ("A", 100, "#60a5fa"), ("B", 20, "#0f766e"), ("B", 100, "#5eead4")]
    for place, (what, rate, colour) in enumerate(lines):
        for group, quantile in enumerate(QUANTILES):
            figure = figures.get((what, f"latency at {rate}/s, {quantile}"))
            if figure:
                label = f"{what}, {rate} sagas/s" if group == 0 else None
                axes.bar(
                    group + place * 0.2 - 0.3, figure["median"], 0.18, color=colour, label=label,
                    yerr=spread(figure), capsize=2, ecolor="#374151",
                )  # fmt: skip
    axes.set_xticks(range(len(QUANTILES)), QUANTILES)
    legend(axes)


def draw_cost(axes: Any, figures: Figures) -> None:
    axes.set_title("CPU for each saga: microseconds", loc="left")
    labelled: set[str] = set()
    for place, what in enumerate(("B", "A")):
        left = 0.0
        for process, colour in PROCESSES:
            figure = figures.get((what, f"CPU, {process}"))
            if figure:
                label = None if process in labelled else process
                axes.barh(place, figure["median"], left=left, color=colour, label=label)
                labelled.add(process)
                left += figure["median"]
    axes.set_yticks((0, 1), ("B", "A"))
    legend(axes, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.08))


def legend(axes: Any, **options: Any) -> None:
    """Where there is something to explain."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, **options)


def spread(figure: dict[str, Any]) -> list[list[float]]:
    return [[figure["median"] - figure["min"]], [figure["max"] - figure["median"]]]


if __name__ == "__main__":
    results, drawn = map(Path, sys.argv[1:])
    read = json.loads(results.read_text())["figures"]
    draw({(each["subject"], each["name"]): each for each in read}, drawn)
