"""The commands."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amends.cli import bulk, dead, listing, operating, projecting, reading, travelling
from amends.cli.bench.command import bench
from amends.cli.checking import check
from amends.cli.demo import demo as run_demo
from amends.cli.describing import describe
from amends.cli.doctor import doctor
from amends.cli.finding import opened_store, quiet_settings
from amends.cli.limiting import limits
from amends.cli.modules import NothingFound, find
from amends.cli.project import write_project
from amends.cli.running import BadInput, execute, on_signal
from amends.cli.simulating import simulate
from amends.cli.timeline import timeline
from amends.cli.whatif import whatif
from amends.client import Client
from amends.domain.errors import AmendsError
from amends.infrastructure.logging import configure
from amends.infrastructure.metrics import serving
from amends.infrastructure.settings import Settings
from amends.process_managers.worker import Worker

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sagas over NATS and PostgreSQL. Begin with `amends demo`, then `amends new`.",
    epilog="Settings come from environment variables: AMENDS_DATABASE_URL, AMENDS_NATS_URL, AMENDS_NAMESPACE, "
    "AMENDS_DATA_DIR and more. Without URLs, servers of Amends' own run in AMENDS_DATA_DIR (.amends).",
)
out = Console()

Modules = Annotated[
    list[str],
    typer.Argument(metavar="MODULE…", help="Such as shop.orders, or one thing in it: shop.orders:Order."),
]


class UnknownSagaType(AmendsError):
    """No saga of this type was ever run here."""


def run() -> None:
    """The entry point."""
    app(prog_name="amends")


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders to place.")] = 300,
) -> None:
    """Run the order saga with its four services, let some orders fail, and check that the books balance."""
    settings = _settings(quiet=True)
    raise typer.Exit(0 if execute(run_demo(settings, orders, out)) else 1)


@app.command()
def up(modules: Modules) -> None:
    """Run everything in these modules on this machine: servers, sagas, participants, and the views."""
    _run(modules, sagas=True, participants=True, views=True)


@app.command()
def worker(
    modules: Modules,
    views: Annotated[
        bool, typer.Option(help="Keep the views up to date, too; or leave it to `amends projections run`.")
    ] = True,
) -> None:
    """Run the sagas in these modules."""
    _run(modules, sagas=True, participants=False, views=views)


@app.command()
def participant(modules: Modules) -> None:
    """Run the participants in these modules."""
    _run(modules, sagas=False, participants=True, views=False)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="The folder to write into.")] = Path(),
) -> None:
    """Write a first saga with its service and its test."""
    execute(_new(folder))


@app.command()
def start(
    saga: Annotated[str, typer.Argument(metavar="TYPE", help="The saga's name, such as order.")],
    input: Annotated[str, typer.Option("--input", help="The start event as JSON: a file, or - for stdin.")],  # noqa: A002
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the saga's end, and print it.")] = False,
) -> None:
    """Start a saga, and print its id. Its type must have been run here before."""
    execute(_start(saga, input, wait))


app.command()(describe)
app.command()(check)
app.command()(simulate)
app.command()(timeline)
app.command()(whatif)
app.command()(doctor)
app.command()(limits)
app.command()(bench)
app.add_typer(reading.app)
app.add_typer(listing.app)
app.add_typer(dead.app, name="dead")
app.add_typer(travelling.app)
app.add_typer(operating.app)
app.add_typer(projecting.app, name="projections")
app.add_typer(bulk.app)


def _settings(*, quiet: bool = False) -> Settings:
    async def read() -> Settings:
        return Settings()

    settings = execute(read())
    configure(settings.model_copy(update={"log_level": "error"}) if quiet else settings)
    return settings


def _run(modules: list[str], *, sagas: bool, participants: bool, views: bool) -> None:
    settings = _settings()
    execute(_run_all(settings, modules, sagas=sagas, participants=participants, views=views))


async def _run_all(
    settings: Settings, modules: list[str], *, sagas: bool, participants: bool, views: bool
) -> None:
    found = find(modules)
    workers = [Worker(found.sagas, settings, limits=found.limits)] if sagas and found.sagas else []
    services = found.participants if participants else []
    if not workers and not services:
        wanted = " or ".join([*["a Saga"] * sagas, *["a Participant"] * participants])
        raise NothingFound(f"expected {wanted} in {', '.join(modules)}; found none")
    stopping = asyncio.Event()
    on_signal(stopping.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(serving(settings.metrics))
        for worker in workers:
            await stack.enter_async_context(worker.running())
            out.print(f"worker {worker.name}: {', '.join(f'{n}@{v}' for n, v in worker.registry.held)}")
        for service in services:
            await stack.enter_async_context(service.running(settings))
            out.print(f"participant {service.name}")
        if workers and views:
            await stack.enter_async_context(projecting.projecting(settings))
        out.print("ready; Ctrl-C stops")
        await stopping.wait()


async def _new(folder: Path) -> None:
    for path in write_project(folder):
        out.print(f"wrote {path}", markup=False)
    out.print(
        "\nNext:\n  amends up orders        runs the saga and its service; leave it running, and elsewhere:"
    )
    out.print("  amends start order --input order.json --wait")
    out.print("  amends history o-1")


async def _start(saga: str, source: str, wait: bool) -> None:
    text = typer.get_text_stream("stdin").read() if source == "-" else _read(Path(source))
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BadInput(f"expected JSON in {source}; {error}") from None
    settings = quiet_settings()
    async with Client(settings) as client, opened_store(settings) as store:
        shapes = {shape["saga"]: shape for shape in sorted(await store.shapes(), key=lambda s: s["version"])}
        if saga not in shapes:
            known = ", ".join(sorted(shapes)) or "none yet"
            raise UnknownSagaType(
                f"expected a saga type that was run here before ({known}), got {saga!r}; run it with "
                "`amends up MODULE` or `amends worker MODULE` first"
            )
        shape = shapes[saga]
        if not isinstance(body, dict) or any(body.get(name) in (None, "") for name in shape["key"]):
            raise BadInput(
                f"expected a JSON object with {', '.join(shape['key'])}, the key of {saga}; got {source}"
            )
        parts = [str(body[name]) for name in shape["key"]]
        key = parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)
        begun = await client.publish_start(saga, shape["start"], key, json.dumps(body, separators=(",", ":")))
        out.print(str(begun.id))
        if wait:
            out.print(await begun.result())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"expected a readable file; {error}") from None
