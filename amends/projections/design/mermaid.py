"""A design as a Mermaid flow diagram."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from amends.projections.design.chains import edges, links
from amends.projections.design.handler_failures import decisions
from amends.projections.design.handler_flow import Flow, Handler
from amends.projections.design.outline import Design, Node, duration

_CLASSES = (
    "classDef step fill:#e8f1fb,stroke:#2f6fab,color:#12283d",
    "classDef wait fill:#f4effa,stroke:#7a52a8,color:#2b1a40,stroke-dasharray:4 3",
    "classDef pivot fill:#fdeeda,stroke:#c8741a,color:#432707,stroke-width:3px",
    "classDef undo fill:#fdecec,stroke:#b5443f,color:#431614,stroke-dasharray:2 2",
    "classDef edge fill:#eef6ee,stroke:#4a8a4a,color:#16331a",
)


def mermaid(design: Design) -> str:
    """The diagram's source. Compensations hang beside their steps, and run upwards along the dotted arrows."""
    draw = _handlers if design.handlers else _links if links(design) else _steps
    lines = ["flowchart TD", *draw(design), *_CLASSES]
    return "\n".join(line if line == "flowchart TD" else f"    {line}" for line in lines) + "\n"


def _steps(design: Design) -> Iterator[str]:
    ids = {node.name: f"s{number}" for number, node in enumerate(design.nodes, start=1)}
    yield f'start(["{_text(", ".join(design.triggers))}"]):::edge'
    for node in design.nodes:
        yield _box(node, ids[node.name])
    yield 'completed(["completed"]):::edge'
    for node in design.nodes:
        for before in design.direct(node) or ("",):
            yield f"{ids.get(before, 'start')} --> {ids[node.name]}"
    followed = {before for node in design.nodes for before in node.after}
    for node in design.nodes:
        if node.name not in followed:
            yield f"{ids[node.name]} --> completed"
    yield from _undoing(design, ids)


def _box(node: Node, name: str) -> str:
    foreign = "<br/>(foreign)" if node.forward.foreign else ""
    label = f"<b>{_text(node.name)}</b><br/>{_text(node.forward.action)}{foreign}"
    if node.publishes:
        return f'{name}>"{label}"]:::step'
    if node.waits:
        timeout = f"<br/>at most {duration(node.forward.timeout)}" if node.forward.timeout else ""
        return f'{name}[/"{label}{timeout}"/]:::wait'
    if node.pivot:
        return f'{name}{{{{"{label}<br/>pivot: no way back"}}}}:::pivot'
    return f'{name}["{label}"]:::step'


def _undoing(design: Design, ids: dict[str, str]) -> Iterator[str]:
    nodes = [node for node in design.nodes if node.compensation is not None]
    for node in nodes:
        assert node.compensation is not None
        undo = f"u{ids[node.name][1:]}"
        yield f'{undo}("undo <b>{_text(node.name)}</b><br/>{_text(node.compensation.action)}"):::undo'
        yield f"{ids[node.name]} -. undo .- {undo}"
    if not nodes:
        return
    yield 'compensated(["compensated"]):::edge'
    for node in nodes:
        earlier = [other for other in nodes if other.name in design.before[node.name]]
        nearest = [a for a in earlier if not any(a.name in design.before[b.name] for b in earlier)]
        for target in [f"u{ids[other.name][1:]}" for other in nearest] or ["compensated"]:
            yield f"u{ids[node.name][1:]} -.-> {target}"


def _handlers(design: Design) -> Iterator[str]:
    flow = Flow(design)
    ids = {handler: f"h{number}" for number, handler in enumerate(flow.order, start=1)}
    yield 'completed(["completed"]):::edge'
    for handler, name in ids.items():
        yield _handler(flow, handler, name)
        if handler.trigger[0] == "start" or not flow.before(handler):
            yield f'e{name[1:]}(["{_text(handler.called)}"]):::edge'
            yield f"e{name[1:]} --> {name}"
        if flow.deeds(handler).completes:
            yield f"{name} --> completed"
    for source, target in dict.fromkeys((link.source, link.target) for link in flow.links):
        yield f'{ids[source]} -->|"{_text(target.called)}"| {ids[target]}'
    yield from _undoing_sends(flow, ids)


def _handler(flow: Flow, handler: Handler, name: str) -> str:
    deeds = flow.deeds(handler)
    lines = [f"<b>{_text(handler.name)}</b>", *map(_text, decisions(deeds))]
    pivot = any(sent.pivot for sent in deeds.sends)
    return f'{name}["{"<br/>".join(lines)}"]:::{"pivot" if pivot else "step"}'


def _undoing_sends(flow: Flow, ids: dict[Handler, str]) -> Iterator[str]:
    """What undoes each send, and the order in which that goes: the latest first."""
    undos = {sent: f"u{number}" for number, sent in enumerate(flow.conduct.sends, start=1) if sent.undo}
    if not undos:
        return
    yield 'compensated(["compensated"]):::edge'
    for sent, name in undos.items():
        yield f'{name}("undo <b>{_text(sent.name)}</b><br/>{_text(sent.undo)}"):::undo'
        yield from (f"{ids[handler]} -. undo .- {name}" for handler in flow.senders(sent))
    orders = [[undos[sent] for sent in order if sent in undos] for order in flow.conduct.orders]
    arrows = [pair for order in orders for pair in pairwise([*reversed(order), "compensated"])]
    yield from (f"{later} -.-> {earlier}" for later, earlier in dict.fromkeys(arrows))


def _links(design: Design) -> Iterator[str]:
    """Events as boxes, and services on the arrows between them; what undoes is dotted."""
    ids: dict[str, str] = {}
    starts = set(design.triggers)
    undone = {
        subject for link in links(design) if link.compensating for subject in (*link.after, link.publishes)
    }
    for subject in (each for before, after, _ in edges(design) for each in (before, after)):
        if subject not in ids:
            ids[subject] = f"e{len(ids) + 1}"
            look = "edge" if subject in starts else "undo" if subject in undone else "wait"
            yield f'{ids[subject]}["{_text(subject)}"]:::{look}'
    for before, after, link in edges(design):
        arrow = "-.->" if link.compensating else "-->"
        yield f'{ids[before]} {arrow}|"<b>{_text(link.name)}</b> {_text(link.service)}"| {ids[after]}'


def _text(text: str) -> str:
    return text.replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
