"""`amends describe`: a saga's design as a drawing, a diagram, a page or data."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from amends.cli.modules import AnySaga, find
from amends.cli.running import execute
from amends.domain.definition import Definition
from amends.domain.errors import AmendsError
from amends.domain.events import JsonObject, SendRequested
from amends.domain.handlers.definition import ManagerDefinition
from amends.infrastructure.embedded import Servers
from amends.infrastructure.ports import Which
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.projections.design import Design, Failure, failures, outline
from amends.projections.design.boxes import of_links
from amends.projections.design.chains import LINKS_HEAD, link_rows, links
from amends.projections.design.conduct import Conduct
from amends.projections.design.drawing import LEGEND, Drawing, drawing, sheet
from amends.projections.design.failure import NOTE
from amends.projections.design.handlers import (
    HANDLERS_HEAD,
    MESSAGES_HEAD,
    UNSEEN,
    conduct_facts,
    handler_rows,
    message_rows,
)
from amends.projections.design.mermaid import mermaid
from amends.projections.design.page import page
from amends.projections.histories import BATCH, Histories
from amends.testing.exploring.rehearsal import rehearse

_RECORDED: Final = re.compile(r"(?P<saga>[a-z][a-z0-9_-]*)@(?P<version>[0-9]+|latest)")
_WIDEST: Final = 120
_PAGE: Final = 100  # columns of a drawing in a file
_STYLES: Final = {
    "line": "bright_black",
    "edge": "bold green",
    "step": "bold cyan",
    "pivot": "bold magenta",
    "onward": "bold green",
    "wait": "bold blue",
    "undo": "yellow",
}


class NotRecorded(AmendsError):
    """No design of this saga type and version was ever recorded here."""


class Format(StrEnum):
    """What a design is written as."""

    TERMINAL = "terminal"
    MERMAID = "mermaid"
    MARKDOWN = "markdown"
    JSON = "json"


def describe(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME|TYPE@VERSION", help="A saga in a module (MODULE: all), or a recorded one."
        ),
    ],
    format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.TERMINAL,  # noqa: A002
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write into this file.")] = None,
) -> None:
    """Draw a saga: its steps, what undoes them, and what happens where one fails.

    The recorded design of a type that was run here is drawn without its code: `amends describe order@1`.
    """
    designs = execute(_designs(target))
    wanted = Format.JSON if as_json else format
    if wanted is Format.TERMINAL and output is None:
        console = Console()
        for design in designs:
            console.print(_terminal(design, console.width))
        return
    text = _text(designs, wanted)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        Console(stderr=True).print(f"wrote {output}")


async def _designs(target: str) -> list[Design]:
    recorded = _RECORDED.fullmatch(target)
    return [await _recorded(recorded["saga"], recorded["version"])] if recorded else _written(target)


def _written(target: str) -> list[Design]:
    found = find([target]).sagas
    if not found:
        raise NotRecorded(
            f"expected a Saga in {target!r}; it holds none. A recorded one is named like order@1"
        )
    return [design_of(saga) for saga in found]


def design_of(saga: AnySaga) -> Design:
    """The design with what its author wrote about it."""
    definition = saga.definition
    steps = definition.steps if isinstance(definition, Definition) else ()
    notes = {step.name: inspect.getdoc(step.forward.build) or "" for step in steps}
    conduct = rehearse(definition) if isinstance(definition, ManagerDefinition) else None
    return outline(definition.shape(), inspect.getdoc(saga) or "", notes, conduct)


async def _recorded(saga: str, version: str) -> Design:
    settings = Settings()
    async with (
        Servers(settings) as servers,
        PostgresStore.open(servers.database_url, settings.namespace) as store,
    ):
        shapes = {(s["saga"], s["version"]): s for s in await store.shapes()}
        versions = sorted(v for name, v in shapes if name == saga)
        latest = versions[-1] if versions and version == "latest" else 0
        wanted = (saga, int(version) if version.isdigit() else latest)
        if wanted in shapes:
            return outline(shapes[wanted], conduct=await _conduct(store, shapes[wanted]))
    known = ", ".join(f"{name}@{v}" for name, v in sorted(shapes)) or "none yet"
    raise NotRecorded(
        f"expected a saga type that was run here before ({known}), got {saga}@{version}; "
        "name the code instead: MODULE:NAME"
    )


async def _conduct(store: Histories, shape: JsonObject) -> Conduct | None:
    """What the handlers did in some of the histories."""
    if "handlers" not in shape:
        return None
    conduct = Conduct(shape)
    rows = await store.walk(Which(shape["saga"], shape["version"]), None, BATCH)
    histories = await store.histories([row.saga_id for row in rows])
    for history in histories.values():
        if not isinstance(history, Exception):
            events = [recorded.event for recorded in history]
            conduct.add(events)
            conduct.add_order(event for event in events if isinstance(event, SendRequested))
    return conduct


def _terminal(design: Design, width: int) -> Group:
    parts: list[Any] = [Text(design.title, style="bold")]
    if design.about:
        parts.append(Markdown(design.about))
    if links(design):
        both = (
            _chain(design, width, "chain", compensating=False),
            _chain(design, width, "compensation chain", compensating=True),
        )
        return Group(*parts, Text(), *both, failure_table(failures(design)))
    parts += [Text(), *_rows(drawing(design, min(width, _WIDEST))), Text(LEGEND, style="dim"), Text()]
    parts += _handlers(design) if design.handlers else ()
    table_of_failures = failures(design)
    if table_of_failures:
        parts += [failure_table(table_of_failures), Text(NOTE, style="dim")]
    return Group(*parts)


def _handlers(design: Design) -> Iterator[RenderableType]:
    if design.conduct is None or not design.conduct.deeds:
        yield Text(UNSEEN)
        yield Text()
        yield table(MESSAGES_HEAD, message_rows(design))
        yield Text()
    yield table(HANDLERS_HEAD, handler_rows(design))
    yield Text()


def _chain(design: Design, width: int, title: str, *, compensating: bool) -> Group:
    rows = table(LINKS_HEAD, link_rows(design, compensating=compensating))
    drawn = sheet(of_links(design, compensating=compensating), min(width, _WIDEST))
    return Group(Text(title, style="bold"), Text(), *_rows(drawn), Text(), rows, Text())


def _rows(drawn: Drawing) -> list[Text]:
    return [
        Text.assemble(*((text, _STYLES.get(style, "")) for text, style in row), no_wrap=True) for row in drawn
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table without lines."""
    made = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def failure_table(rows: Sequence[Failure]) -> Table:
    """Failure point, what failed, compensation chain."""
    table = Table(
        "failure point", "what failed", "compensation chain", box=None, header_style="bold", pad_edge=False
    )
    previous = ""
    for row in rows:
        table.add_row(Text(row.point if row.point != previous else ""), Text(row.what), Text(row.text()))
        previous = row.point
    return table


def _text(designs: list[Design], wanted: Format) -> str:
    if wanted is Format.JSON:
        return json.dumps([_facts(design) for design in designs], indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_TEXTS[wanted](design) for design in designs)


def _plain(design: Design) -> str:
    console = Console(width=_PAGE, no_color=True, highlight=False)
    with console.capture() as captured:
        console.print(_terminal(design, _PAGE))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _facts(design: Design) -> JsonObject:
    handlers = {"handlers": list(conduct_facts(design))} if design.handlers else {}
    return {
        "about": design.about,
        "design": design.shape,
        **handlers,
        "failures": [failure.as_json() for failure in failures(design)],
    }


_TEXTS: Final[dict[Format, Callable[[Design], str]]] = {
    Format.TERMINAL: _plain,
    Format.MERMAID: mermaid,
    Format.MARKDOWN: page,
}
