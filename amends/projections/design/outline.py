"""A recorded shape, read: the steps as a graph, what each asks of whom, and in which order it is undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject
from amends.domain.wire import Outcome
from amends.projections.design.conduct import Conduct

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class NotADesign(AmendsError):
    """A shape cannot be drawn: its steps name predecessors that are not there, or wait for each other."""


@dataclass(frozen=True)
class Request:
    """What is asked of a service, forwards or backwards; `subjects` are the alternatives. Times in seconds.

    `again` is how long after each rejection it is asked anew; a `foreign` service keeps none of the promises, and
    may have no way to say no (`rejects`).
    """

    subjects: tuple[str, ...]
    types: tuple[str, ...]
    timeout: float | None = None
    attempts: int | None = None
    again: tuple[float, ...] = ()
    foreign: bool = False
    rejects: bool = True

    @property
    def action(self) -> str:
        return " or ".join(self.subjects)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(subject.partition(".")[0] for subject in self.subjects))


@dataclass(frozen=True)
class Node:
    """One step. `after` are the steps that must be done before it begins.

    `kind` is `command`, `wait` (its `forward` is the event, `on_timeout` what silence does after the pivot)
    or `publish` (its `forward` is the event). `tells` is published when its rejection turns the saga back.
    """

    name: str
    kind: str
    after: tuple[str, ...]
    pivot: bool
    forward: Request
    compensation: Request | None
    note: str = ""
    on_timeout: str = ""
    tells: str = ""

    @property
    def waits(self) -> bool:
        return self.kind == "wait"

    @property
    def publishes(self) -> bool:
        return self.kind == "publish"


@dataclass(frozen=True)
class Design:
    """One version of a saga type, as it was recorded. `about` is its author's text, where the code is at hand.

    A process manager has `handlers`, and the `conduct` that was seen of them.
    """

    shape: JsonObject
    nodes: tuple[Node, ...]
    about: str = ""
    handlers: tuple[JsonObject, ...] = field(default=())
    conduct: Conduct | None = None

    @property
    def title(self) -> str:
        return f"{self.shape['saga']}@{self.shape['version']}"

    @property
    def triggers(self) -> tuple[str, ...]:
        if "starts" in self.shape:
            return tuple(each["subject"] for each in self.shape["starts"])
        start = self.shape.get("start") or ()
        return (start,) if isinstance(start, str) else tuple(start)

    @property
    def key(self) -> str:
        return " + ".join(self.shape.get("key") or ())

    @property
    def deadline(self) -> float | None:
        deadline: float | None = self.shape.get("deadline")
        return deadline

    @cached_property
    def pivot(self) -> Node | None:
        return next((node for node in self.nodes if node.pivot), None)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @cached_property
    def before(self) -> Mapping[str, frozenset[str]]:
        """For each step all that is done when it begins."""
        found: dict[str, frozenset[str]] = {}
        for name in self._sorted():
            after = self.node(name).after
            found[name] = frozenset(after).union(*(found[each] for each in after))
        return found

    @cached_property
    def ranks(self) -> Sequence[Sequence[Node]]:
        """The steps in rows: each row only needs those above it."""
        rank: dict[str, int] = {}
        for name in self._sorted():
            rank[name] = 1 + max((rank[each] for each in self.node(name).after), default=-1)
        rows: list[list[Node]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
        for node in self.nodes:
            rows[rank[node.name]].append(node)
        return rows

    def direct(self, node: Node) -> tuple[str, ...]:
        """Its predecessors without those that another of them comes after anyhow."""
        return tuple(a for a in node.after if not any(a in self.before[other] for other in node.after))

    def never_undone(self, node: Node) -> bool:
        """It is the pivot, or comes after it."""
        return self.pivot is not None and (node.pivot or self.pivot.name in self.before[node.name])

    def undoing(self, names: Iterable[str]) -> Sequence[Sequence[Node]]:
        """The compensations of these steps in rows, each row when those above it are settled."""
        wanted = {name for name in names if self.node(name).compensation is not None}
        depth: dict[str, int] = {}
        for name in reversed(self._sorted()):
            if name in wanted:
                later = (depth[other] for other in depth if name in self.before[other])
                depth[name] = 1 + max(later, default=-1)
        rows: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for node in self.nodes:
            if node.name in depth:
                rows[depth[node.name]].append(node)
        return rows

    def _sorted(self) -> list[str]:
        left = {node.name: set(node.after) for node in self.nodes}
        done: list[str] = []
        while left:
            ready = [name for name, after in left.items() if after <= set(done)]
            if not ready:
                raise NotADesign(
                    f"{self.title}: expected every step to come after steps that exist and do not wait for it; "
                    f"got {', '.join(sorted(left))}, which can never begin"
                )
            done += ready
            for name in ready:
                del left[name]
        return done


def outline(
    shape: JsonObject,
    about: str = "",
    notes: Mapping[str, str] | None = None,
    conduct: Conduct | None = None,
) -> Design:
    """Read a shape. `notes` are what the author wrote about single steps, `conduct` what handlers were seen to do."""
    nodes: list[Node] = []
    for step in shape.get("steps") or ():
        before = (nodes[-1].name,) if nodes else ()
        nodes.append(_node(step, before, (notes or {}).get(step["name"], "")))
    design = Design(shape, tuple(nodes), about.strip(), tuple(shape.get("handlers") or ()), conduct)
    assert design.before is not None  # raises where the graph cannot be drawn
    return design


def duration(seconds: float | None) -> str:
    """A length of time for people: `1 h 30 min`."""
    if seconds is None:
        return "none"
    parts: list[str] = []
    left = seconds
    for unit, length in _UNITS:
        count = int(left // length)
        if count and (unit != "d" or count > 1):  # 24 h is what people say
            parts.append(f"{count} {unit}")
            left -= count * length
    if left > 0 and len(parts) < 2:  # noqa: PLR2004 - two parts are exact enough
        parts.append(f"{left * 1000:.0f} ms")
    return " ".join(parts[:2]) or "0 s"


def asked_for(timeout: float | None, attempts: int | None) -> str:
    """How long an answer is waited for and how often it is asked: `30 s × 3`."""
    asked = duration(timeout) if timeout else "no limit"
    return f"{asked} × {attempts}" if attempts else asked


def patience(node: Node) -> str:
    """How long and how often it is asked: `30 s × 3`, `30 s × 3, again after 1 d, 3 d`."""
    asked = asked_for(node.forward.timeout, node.forward.attempts)
    if node.forward.again:
        asked += f", again after {', '.join(map(duration, node.forward.again))}"
    return asked


def _node(step: JsonObject, before: tuple[str, ...], note: str) -> Node:
    after: Sequence[str] | None = step.get("after")
    wait: JsonObject = step.get("wait") or {}
    rejected: JsonObject = step.get("when_rejected") or {}
    undo: JsonObject | None = step.get("compensation")
    return Node(
        name=step["name"],
        kind=step.get("kind", "command"),
        after=before if after is None else tuple(after),
        pivot=bool(step.get("pivot")),
        forward=_forward(step, wait),
        compensation=_request(undo) if undo else None,
        note=note,
        on_timeout=wait.get("on_timeout", ""),
        tells=rejected.get("subject", ""),
    )


def _forward(step: JsonObject, wait: JsonObject) -> Request:
    asking: JsonObject | None = step.get("forward")
    if asking:
        return _request(asking)
    if wait:
        named: list[JsonObject] = [wait, *([wait["rejection"]] if "rejection" in wait else [])]
    else:
        event: JsonObject = step.get("event") or {}
        named = [event, *event.get("others", [])] if event else []
    return Request(
        tuple(each["subject"] for each in named), tuple(each["type"] for each in named), wait.get("timeout")
    )


def _request(asking: JsonObject) -> Request:
    commands: list[JsonObject] = asking.get("commands") or []
    retry: JsonObject = asking.get("retry") or {}
    foreign: list[JsonObject] = asking.get("foreign") or []
    return Request(
        subjects=tuple(command["subject"] for command in commands),
        types=tuple(command["type"] for command in commands),
        timeout=asking.get("timeout"),
        attempts=retry.get("attempts"),
        again=tuple(asking.get("ask_again") or ()),
        foreign=bool(foreign),
        rejects=not foreign or any(answer["outcome"] == Outcome.REJECTED for answer in foreign),
    )
