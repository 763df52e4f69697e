"""A design as a Mermaid flow diagram."""

from __future__ import annotations

from collections.abc import Iterator

from amends.projections.design.outline import Design, Node, duration, handled

_CLASSES = (
    "classDef step fill:#e8f1fb,stroke:#2f6fab,color:#12283d",
    "classDef wait fill:#f4effa,stroke:#7a52a8,color:#2b1a40,stroke-dasharray:4 3",
    "classDef pivot fill:#fdeeda,stroke:#c8741a,color:#432707,stroke-width:3px",
    "classDef undo fill:#fdecec,stroke:#b5443f,color:#431614,stroke-dasharray:2 2",
    "classDef edge fill:#eef6ee,stroke:#4a8a4a,color:#16331a",
)


def mermaid(design: Design) -> str:
    """The diagram's source. Compensations hang beside their steps, and run upwards along the dotted arrows."""
    lines = ["flowchart TD", *(_handlers(design) if design.handlers else _steps(design)), *_CLASSES]
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
    yield f'state["<b>{_text(design.title)}</b>"]:::step'
    for number, handler in enumerate(design.handlers, start=1):
        yield f'h{number}(["{_text(handled(handler))}"]):::edge'
        yield f"h{number} -->|{_text(str(handler.get('name', '')))}| state"


def _text(text: str) -> str:
    return text.replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
