"""`amends check`: every way in which a saga can go, and whether each of them settles or parks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from amends.cli.describing import failure_table
from amends.cli.modules import NothingFound, find
from amends.cli.running import BadInput, execute
from amends.domain.definition import InvalidMessage
from amends.domain.events import JsonObject
from amends.domain.handlers.definition import AnyDefinition
from amends.projections.design.failure import NOTE
from amends.projections.story import sentence
from amends.testing.exploring import LIMIT, Exploration, Problem, explore


def check(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="A saga in a module; MODULE for all that are in it.")
    ],
    input: Annotated[  # noqa: A002
        Path | None,
        typer.Option("--input", help="A start event as JSON; without, some are made up from its type."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many states to explore at most.")] = LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explore every way in which a saga can go, and prove that each one settles or parks.

    Every answer of every service, in every order, early, late or never; every timer, crash and cancel. Prints the
    failure table, and where a way does not settle the shortest one; the exit status is then 1.
    """
    found = execute(_explored(target, input, limit))
    if as_json:
        typer.echo(json.dumps([_facts(*each) for each in found], indent=2, ensure_ascii=False))
    else:
        Console().print(Group(*(_report(*each) for each in found)))
    raise typer.Exit(0 if all(exploration.settles for _, exploration in found) else 1)


async def _explored(target: str, source: Path | None, limit: int) -> list[tuple[AnyDefinition, Exploration]]:
    sagas = find([target]).sagas
    if not sagas:
        raise NothingFound(f"expected a Saga or a ProcessManager in {target!r}; it holds none")
    return [(saga.definition, _explore(saga.definition, source, limit)) for saga in sagas]


def _explore(definition: AnyDefinition, source: Path | None, limit: int) -> Exploration:
    starts = [_start(definition, source)] if source else []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(f"exploring {definition.name}@{definition.version}")

        def progress(explored: int, waiting: int) -> None:
            text = f"exploring {definition.name}@{definition.version}: {explored:,} states, {waiting:,} to go on from"
            shown.update(task, description=text)

        return explore(definition, starts, progress, limit=limit)


def _start(definition: AnyDefinition, source: Path) -> JsonObject:
    try:
        return definition.read_start(definition.start_subjects[0], source.read_bytes()).model_dump(
            mode="json"
        )
    except (OSError, InvalidMessage) as error:
        raise BadInput(f"expected the start event of {definition.name} in {source}; {error}") from None


def _report(definition: AnyDefinition, found: Exploration) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{definition.name}@{definition.version}", style="bold"), Text()]
    if found.problems:
        parts += [part for problem in found.problems for part in _trace(problem)]
        parts.append(Text("a way does not settle", style="bold red"))
        return Group(*parts)
    parts += [failure_table(found.failures), Text(NOTE, style="dim"), Text()]
    parts.append(Text("every way settles or parks", style="bold green"))
    parts.append(_summary(found))
    return Group(*parts)


def _summary(found: Exploration) -> Table:
    events = f", from {found.starts} start events" if found.starts > 1 else ""
    table = Table.grid(padding=(0, 2))
    table.add_row("explored", f"{found.states:,} states, {found.moves:,} moves between them{events}")
    table.add_row("ends", " or ".join(sorted(found.ends)))
    table.add_row("can park", ", ".join(sorted(found.parks)) or "nowhere")
    if found.never:
        table.add_row(
            "never begun", f"{', '.join(found.never)}: give a start event that leads there, with --input"
        )
    return table


def _trace(problem: Problem) -> Iterator[Text]:
    """The shortest way to what is wrong: what happened, and what was recorded of it."""
    yield Text("the shortest way that does not settle:")
    for number, (move, events) in enumerate(problem.trace, start=1):
        yield Text.assemble((f"{number:>4}  ", "dim"), str(move))
        for event in events:
            yield Text(f"        {sentence(event)}", style="dim")
    yield Text.assemble("   ✗  ", problem.what, style="red")
    yield Text()


def _facts(definition: AnyDefinition, found: Exploration) -> JsonObject:
    return {
        "saga": definition.name,
        "version": definition.version,
        "settles": found.settles,
        "starts": found.starts,
        "states": found.states,
        "moves": found.moves,
        "ends": sorted(found.ends),
        "parks": sorted(found.parks),
        "never": list(found.never),
        "failures": [failure.as_json() for failure in found.failures],
        "problems": [_problem(problem) for problem in found.problems],
    }


def _problem(problem: Problem) -> JsonObject:
    def recorded(events: Sequence[Any]) -> list[JsonObject]:
        return [{"type": event.type, "sentence": sentence(event)} for event in events]

    trace = [{"move": str(move), "recorded": recorded(events)} for move, events in problem.trace]
    return {"what": problem.what, "trace": trace}
