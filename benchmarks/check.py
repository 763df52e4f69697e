"""How long `amends check` takes for a saga of branches side by side.

`python benchmarks/check.py [--branches N] [--length N]`: a first step, the branches, a pivot and a last step; by
default twelve steps with three branches, which are to be explored in less than twenty seconds of work.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from typing import Any

from amends import Command, Event, Saga, step
from amends.domain.definition import Definition
from amends.testing.exploring import explore

LIMIT = 20.0


class Went(Event, subject="shop.went"):
    order_id: str


class Do(Command, subject="service.do"):
    pass


class Undo(Command, subject="service.undo"):
    pass


def branches(number: int, length: int) -> Definition:
    """A step, branches side by side that are all compensated, the pivot, and a last step."""
    body: dict[str, Any] = {}

    def add(name: str, after: list[Any], **options: Any) -> Any:
        def build(self: Any) -> Do:
            return Do()

        def undo(self: Any) -> Undo:
            return Undo()

        build.__name__ = name
        body[name] = made = step(after=after, **options)(build)
        if name[0] in "fb":
            made.compensate(undo)
        return made

    first = add("first", [])
    ends: list[Any] = []
    for branch in range(number):
        end = first
        for place in range(length):
            end = add(f"b{branch}{place}", [end])
        ends.append(end)
    add("last", [add("pivot", ends, pivot=True)])

    class Branches(Saga[Went], name="branches", version=1, key="order_id", deadline=timedelta(days=1)):
        locals().update(body)

    return Branches.definition


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=int, default=3)
    parser.add_argument("--length", type=int, default=3)
    chosen = parser.parse_args()
    definition = branches(chosen.branches, chosen.length)
    began, worked = time.perf_counter(), time.process_time()
    found = explore(definition)
    took, work = time.perf_counter() - began, time.process_time() - worked
    assert found.settles
    print(
        f"{len(definition.steps)} steps, {chosen.branches} branches: {found.states:,} states, {found.moves:,} moves"
    )
    print(f"{took:.1f} s, of which {work:.1f} s on the processor: {work / found.moves * 1e6:.0f} µs per move")
    return 0 if work < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
