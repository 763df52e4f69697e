"""What stands in a drawing, and what comes after what: of steps, or of handlers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from amends.projections.design.canvas import Frame
from amends.projections.design.chains import Link, links
from amends.projections.design.conduct import Deeds, Sent
from amends.projections.design.handler_flow import Flow, Handler
from amends.projections.design.outline import Design, Node, asked_for, duration, patience

ROUND: Final = Frame("╭╮╯╰", "─", "│")
_DOUBLE: Final = Frame("╔╗╝╚", "═", "║")
_DASHED: Final = Frame("╭╮╯╰", "╌", "┆")

_PARTS: Final = re.compile(r"\s*(?:[^\s.-]+[.-]?|[.-]+)")

_Line: TypeAlias = tuple[str, str]  # a text and its style


@dataclass(frozen=True)
class Box:
    """What stands in one place of a row; without lines it is an arrow that passes by."""

    lines: tuple[_Line, ...] = ()
    frame: Frame = ROUND

    def wrapped(self, width: int) -> tuple[_Line, ...]:
        """Its lines for an inside of this width; a title that is too long for the border is told below it."""
        title, *body = self.lines
        shown = [title] if len(title[0]) > width - 2 else []
        return (title, *(line for each in [*shown, *body] for line in _wrapped(*each, width)))


@dataclass(frozen=True)
class Sheet:
    """Boxes by name, and for each those that it comes after, named before it; `ends` lead to the end."""

    start: Box
    boxes: Mapping[str, Box]
    after: Mapping[str, Sequence[str]]
    ends: Sequence[str]
    end: Box


def _wrapped(text: str, style: str, width: int) -> Iterator[_Line]:
    """The text in lines, broken between words and behind the dots and hyphens of subjects."""
    line = ""
    for part in _PARTS.findall(text):
        if line and len(line) + len(part) > width:
            yield line, style
            line = f"  {part.lstrip()}"
        else:
            line += part
    yield line, style


def of_steps(design: Design) -> Sheet:
    """A box for each step."""
    nodes = [node for rank in design.ranks for node in rank]
    followed = {name for node in nodes for name in node.after}
    return Sheet(
        start=_start(design),
        boxes={node.name: _step(design, node) for node in nodes},
        after={node.name: design.direct(node) for node in nodes},
        ends=[node.name for node in nodes if node.name not in followed],
        end=Box((("completed", "edge"), ("every step is done", "text"))),
    )


def of_handlers(design: Design) -> Sheet:
    """A box for each handler; one that only the world outside calls comes after those that start a saga."""
    flow = Flow(design)
    names = {handler: f"{number} {handler.name}" for number, handler in enumerate(flow.order)}
    after: dict[str, list[str]] = {}
    for handler in flow.order:
        sources = dict.fromkeys(link.source for link in flow.before(handler))
        begins = handler.trigger[0] == "start"
        after[names[handler]] = [names[each] for each in (sources or ({} if begins else flow.starts))]
    followed = {name for parents in after.values() for name in parents}
    completing = [names[each] for each in flow.order if flow.deeds(each).completes]
    return Sheet(
        start=_start(design),
        boxes={names[handler]: _handler(flow, handler) for handler in flow.order},
        after=after,
        ends=completing or [name for name in after if name not in followed],
        end=Box((("completed", "edge"), ("all that was sent is answered", "text"))),
    )


def of_links(design: Design, *, compensating: bool) -> Sheet:
    """A box for each link of a choreography's chain, or of the chain that undoes it."""
    shown = [link for link in links(design) if link.compensating is compensating]
    after: dict[str, list[str]] = {}
    for link in shown:
        after[link.name] = [
            other.name for other in shown if other.publishes in link.after and other.name in after
        ]
    followed = {name for names in after.values() for name in names}
    told = {link.publishes for link in shown}
    turns = dict.fromkeys(subject for link in shown for subject in link.after if subject not in told)
    undone = Box((("what turns it back", "edge"), *((subject, "text") for subject in turns)))
    end = "compensated" if compensating else "completed"
    return Sheet(
        start=undone if compensating else _start(design),
        boxes={link.name: _link(link) for link in shown},
        after=after,
        ends=[link.name for link in shown if link.name not in followed],
        end=Box(((end, "edge"), ("every service has told", "text"))),
    )


def _link(link: Link) -> Box:
    limit = "until the deadline" if link.within is None else f"within {duration(link.within)}"
    lines = [(link.name, "undo" if link.compensating else "step"), (f"{link.service}, on", "text")]
    lines += [(f"  {subject}", "text") for subject in link.after]
    lines += [(f"publishes {link.publishes}", "text"), (limit, "text")]
    return Box(tuple(lines), _DASHED if link.compensating else ROUND)


def _start(design: Design) -> Box:
    lines = [(" or ".join(design.triggers) or "start", "edge"), (f"starts {design.title}", "text")]
    if design.key:
        lines.append((f"key {design.key}", "text"))
    if design.deadline is not None:
        lines.append((f"deadline {duration(design.deadline)}", "text"))
    return Box(tuple(lines))


def _step(design: Design, node: Node) -> Box:
    onward = design.never_undone(node)
    style = "pivot" if node.pivot else "wait" if node.waits else "onward" if onward else "step"
    title = f"{node.name} (pivot)" if node.pivot else node.name
    lines = [(title, style), (_asked(node), "text")]
    if not node.publishes:
        lines.append((patience(node), "text"))
    if node.compensation is not None:
        lines.append((f"↩ {node.compensation.action}", "undo"))
    return Box(tuple(lines), _DOUBLE if node.pivot else _DASHED if node.waits else ROUND)


def _asked(node: Node) -> str:
    if node.waits:
        return f"waits for {node.forward.action}"
    if node.publishes:
        return f"publishes {node.forward.action}"
    return f"{node.forward.action} (foreign)" if node.forward.foreign else node.forward.action


def _handler(flow: Flow, handler: Handler) -> Box:
    deeds = flow.deeds(handler)
    pivot = any(sent.pivot for sent in deeds.sends)
    outside = handler.trigger[0] != "start" and not flow.before(handler)
    style = "pivot" if pivot else "wait" if outside else "step"
    lines = [(handler.name, style), (f"on {handler.called}", "text"), *_deeds(deeds)]
    return Box(tuple(lines), _DOUBLE if pivot else _DASHED if outside else ROUND)


def _deeds(deeds: Deeds) -> Iterator[_Line]:
    for lines in dict.fromkeys(tuple(_sent(sent)) for sent in deeds.sends):
        yield from lines
    yield from ((f"publishes {subject}", "text") for subject in deeds.publishes)
    yield from ((f"timeout {name} in {duration(after)}", "text") for name, after in deeds.timeouts.items())
    yield from ((f"turns back: {reason}", "undo") for reason in deeds.turns_back)
    if deeds.completes:
        yield "completes", "edge"


def _sent(sent: Sent) -> Iterator[_Line]:
    mark = " (pivot)" if sent.pivot else ""
    yield f"→ {sent.subject}{mark}", "text"
    yield f"  {asked_for(sent.timeout, sent.attempts)}", "text"
    if sent.undo:
        yield f"  ↩ {sent.undo}", "undo"
