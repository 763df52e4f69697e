"""Whether every way settles or parks: what is to be seen only when all ways are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amends.testing.exploring.explorer import Node, Problem


def dead_ends(nodes: Sequence[Node]) -> Iterator[Problem]:
    """A saga that is not over nor parked, and that no timer will ever wake."""
    for node in nodes:
        if not (node.final or node.parked) and node.state.wake_up is None:
            yield Problem(f"{node.state.status}, and no timer will ever wake it", node)


def rounds_without_end(nodes: Sequence[Node]) -> Iterator[Problem]:
    """A way that can go round for ever without anybody being told."""
    left = {node: _awake(node) for node in nodes if not (node.final or node.parked)}
    before: dict[Node, list[Node]] = {node: [] for node in left}
    for node, ways in left.items():
        for way in ways:
            before[way].append(node)
    ends = [node for node, ways in left.items() if not ways]
    while ends:
        end = ends.pop()
        del left[end]
        for node in before[end]:
            left[node].remove(end)
            if not left[node]:
                ends.append(node)
    if left:
        yield Problem("it can go round for ever, and no person is told", next(iter(left)))


def _awake(node: Node) -> list[Node]:
    """Where it can go without settling or parking; a repeat that changes nothing is no way."""
    return [way for _, way in node.next if not (way.final or way.parked or way is node)]


def no_way_out(nodes: Sequence[Node]) -> Iterator[Problem]:
    """A state from which no answer whatever leads to an end."""
    before: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for _, way in node.next:
            before[way].append(node)
    out = {node for node in nodes if node.final}
    unseen = list(out)
    while unseen:
        for node in before[unseen.pop()]:
            if node not in out:
                out.add(node)
                unseen.append(node)
    lost = next((node for node in nodes if node not in out), None)
    if lost is not None:
        yield Problem("from here no answer whatever leads to an end", lost)
