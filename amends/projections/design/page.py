"""A design as a page in Markdown, for a design review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from amends.projections.design.chains import LINKS_HEAD, link_rows, links
from amends.projections.design.failure import NOTE
from amends.projections.design.failures import failures
from amends.projections.design.handlers import (
    COMMANDS_HEAD,
    DECISIONS_HEAD,
    HANDLERS_HEAD,
    MESSAGES_HEAD,
    UNSEEN,
    command_rows,
    decision_rows,
    handler_rows,
    message_rows,
)
from amends.projections.design.mermaid import mermaid
from amends.projections.design.outline import Design, Node, Request, duration


def page(design: Design) -> str:
    """Overview, trigger, steps, flow, failures."""
    parts = [f"# {design.title}", "## Overview", design.about or "The definition says nothing about itself."]
    parts += ["## Trigger", *_trigger(design)]
    if design.handlers:
        parts += _handlers(design)
    elif links(design):
        parts += ["## Chain", _table(LINKS_HEAD, link_rows(design, compensating=False))]
        parts += ["## Compensation chain", _table(LINKS_HEAD, link_rows(design, compensating=True))]
    else:
        parts += [
            "## Steps",
            _table(_HEAD, (_row(design, n, node) for n, node in enumerate(design.nodes, 1))),
        ]
        parts += [f"- **{node.name}**: {node.note}" for node in design.nodes if node.note]
    parts += ["## Flow", f"```mermaid\n{mermaid(design)}```"]
    rows = [(f.point, f.what, f.text()) for f in failures(design)]
    if rows:
        parts += ["## Failures", _table(("failure point", "what failed", "compensation chain"), rows)]
        parts += [] if links(design) else [NOTE]
    return "\n\n".join(parts) + "\n"


_HEAD = ("#", "step", "after", "service", "action", "compensating action", "timeout", "attempts")


def _handlers(design: Design) -> Iterator[str]:
    """What is known of the handlers: without any that were seen at work, only what they are told and may send."""
    if design.conduct is not None and design.conduct.deeds:
        yield "## Handlers"
        yield _table(DECISIONS_HEAD, decision_rows(design))
        yield "## Commands"
        yield _table(COMMANDS_HEAD, command_rows(design))
    else:
        yield UNSEEN
        yield "## Messages"
        yield _table(MESSAGES_HEAD, message_rows(design))
    yield "## How events find their saga"
    yield _table(HANDLERS_HEAD, handler_rows(design))


def _trigger(design: Design) -> Iterator[str]:
    if design.triggers:
        yield f"Started by {' or '.join(f'`{each}`' for each in design.triggers)}."
    if design.key:
        yield f"One saga for each `{design.key}`. Starting it again with the same message changes nothing."
    if design.deadline is not None:
        yield f"Deadline: {duration(design.deadline)} after the start."


def _row(design: Design, number: int, node: Node) -> Sequence[str]:
    mark = " **(pivot)**" if node.pivot else ""
    return (
        str(number),
        f"{node.name}{mark}",
        ", ".join(design.direct(node)) or "the start",
        "–" if node.publishes else ", ".join(node.forward.services),
        _action(node),
        _undone(design, node),
        "–" if node.publishes else duration(node.forward.timeout),
        str(node.forward.attempts or "–"),
    )


def _action(node: Node) -> str:
    what = _code(node.forward)
    if node.waits:
        return f"waits for {what}"
    if node.publishes:
        return f"publishes {what}"
    again = f", again after {', '.join(map(duration, node.forward.again))}" if node.forward.again else ""
    return f"{what}{again}{' (foreign)' if node.forward.foreign else ''}"


def _undone(design: Design, node: Node) -> str:
    if node.compensation is not None:
        return _code(node.compensation)
    if node.publishes:
        return "cannot be taken back"
    if design.never_undone(node):
        return (
            "never: it is closed instead"
            if node.pivot and not node.forward.foreign
            else "never: only forward"
        )
    return "none needed"


def _code(request: Request) -> str:
    return " or ".join(f"`{subject}`" for subject in request.subjects)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
