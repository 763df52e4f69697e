"""`amends demo`: the order saga with its services, success and failure, and whether the books balance."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from os.path import relpath
from pathlib import Path
from shutil import which
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from amends.cli.drawing import history_table
from amends.cli.projecting import projecting
from amends.client import Client
from amends.domain.identity import saga_id
from amends.examples.order.books import SERVICES, Balance, balance, prepare
from amends.examples.order.messages import OrderPlaced
from amends.examples.order.saga import HastyOrder
from amends.examples.order.services import inventory, notifications, payments, shipping
from amends.infrastructure.clock import SystemClock, fresh_name
from amends.infrastructure.embedded import Servers
from amends.infrastructure.ports import SagaRow
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.settings import Settings
from amends.process_managers.worker import Worker
from amends.projections.status import statuses
from amends.projections.story import story

_LIMIT: Final = timedelta(minutes=5)
_FINAL: Final = ("completed", "compensated", "failed")
_LOOK_EVERY: Final = 0.2
_VIEWS: Final = timedelta(seconds=20)
_MOST: Final = 1_000_000  # orders of earlier demonstrations in the same folder are among them


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to happen to an order, and why it does."""

    name: str
    ends: str


_FATES: Final = (
    Fate("shipped", "completed"),
    Fate("payment declined", "compensated"),
    Fate("out of stock", "compensated"),
    Fate("refused at shipping", "compensated"),
    Fate("payment never answered", "compensated"),
)


async def demo(settings: Settings, count: int, out: Console) -> bool:
    """Run it all. False where the books do not balance, or an order did not end as it should."""
    run = fresh_name()[:6]
    fates = [_fate(number) for number in range(count)]
    orders = [_order(run, number, fate) for number, fate in enumerate(fates)]
    async with Servers(settings, on_progress=lambda text: out.print(f"[dim]{text}[/dim]")) as servers:
        urls = {name: await servers.participant_database(name) for name in SERVICES}
        await prepare(urls, {"lamp": 3 * count, "unicorn": 0})
        async with _system(settings), PostgresStore.open(servers.database_url, settings.namespace) as store:
            await _place(settings, orders)
            rows = await _watch(store, settings, orders, out)
            statuses = {row.key: row.status for row in rows.values()}
            lines = await balance(
                urls, orders, {o.order_id: statuses.get(o.order_id, "unknown") for o in orders}
            )
            right = _outcomes(orders, fates, statuses, out)
            await _histories(store, rows, orders, fates, out)
            await _shown(servers.database_url, settings.namespace)
    balanced = _books(lines, out)
    _what_next(orders, fates, out)
    return right and balanced


def _fate(number: int) -> Fate:
    """Three orders in four go well; the others fail in turn."""
    return _FATES[0] if number % 4 else _FATES[1 + number // 4 % 4]


def _order(run: str, number: int, fate: Fate) -> OrderPlaced:
    return OrderPlaced(
        order_id=f"{run}-{number:04}",
        customer=f"{'poor' if fate.name == 'payment declined' else 'good'}-{number}",
        sku="unicorn" if fate.name == "out of stock" else "lamp",
        quantity=1 + number % 3,
        total=Decimal("9.90") * (1 + number % 3),
        country="Atlantis" if fate.name == "refused at shipping" else "Norway",
        method="transfer" if fate.name == "payment never answered" else "card",
    )


@asynccontextmanager
async def _system(settings: Settings) -> AsyncIterator[None]:
    """The worker and the four services, in this process; in earnest each would be a program of its own."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(projecting(settings))
        await stack.enter_async_context(Worker([HastyOrder], settings, name="worker"))
        for service in (inventory, payments, shipping, notifications):
            await stack.enter_async_context(service.running(settings))
        yield


async def _place(settings: Settings, orders: Sequence[OrderPlaced]) -> None:
    async with Client(settings) as client:
        await asyncio.gather(*(client.start(HastyOrder, order) for order in orders))


async def _watch(
    store: PostgresStore, settings: Settings, orders: Sequence[OrderPlaced], out: Console
) -> dict[str, SagaRow]:
    """Show how far the orders are until all are over, by key."""
    clock = SystemClock()
    until = clock.now() + _LIMIT
    ids = {str(saga_id(settings.namespace, "order", order.order_id)) for order in orders}
    with Live(console=out, refresh_per_second=8, transient=True) as live:
        while True:
            mine = [
                row for row in await store.saga_rows(saga="order", limit=_MOST) if str(row.saga_id) in ids
            ]
            live.update(_progress(mine, len(orders)))
            if sum(row.status in _FINAL for row in mine) == len(orders) or clock.now() > until:
                return {row.key: row for row in mine}
            await clock.sleep(_LOOK_EVERY)


def _progress(rows: Sequence[SagaRow], total: int) -> Table:
    counts = Counter(row.status for row in rows)
    table = Table("status", "sagas", "", box=None)
    for status in ("running", "compensating", "completed", "compensated"):
        table.add_row(status, f"{counts[status]:5}", "█" * round(50 * counts[status] / total))
    return table


def _outcomes(
    orders: Sequence[OrderPlaced], fates: Sequence[Fate], statuses: Mapping[str, str], out: Console
) -> bool:
    ended = Counter(
        (fate, statuses.get(order.order_id, "unknown")) for order, fate in zip(orders, fates, strict=True)
    )
    table = Table(
        "what was in its way", "expected", "became", "orders", title="Outcomes", title_justify="left"
    )
    for (fate, status), number in sorted(
        ended.items(), key=lambda item: (_FATES.index(item[0][0]), item[0][1])
    ):
        colour = "green" if fate.ends == status else "red"
        table.add_row(fate.name, fate.ends, f"[{colour}]{status}[/{colour}]", str(number))
    out.print(table)
    return all(fate.ends == status for fate, status in ended)


async def _histories(
    store: PostgresStore,
    rows: Mapping[str, SagaRow],
    orders: Sequence[OrderPlaced],
    fates: Sequence[Fate],
    out: Console,
) -> None:
    for wanted in ("shipped", "refused at shipping"):
        order = next((o for o, fate in zip(orders, fates, strict=True) if fate.name == wanted), None)
        if order is not None and order.order_id in rows:
            row = rows[order.order_id]
            out.print()
            out.print(history_table(row, story(await store.history(row.saga_id))))


async def _shown(database_url: str, namespace: str) -> None:
    """Let the views come up to what happened, so that they can be asked when this is over."""
    clock = SystemClock()
    until = clock.now() + _VIEWS
    while any(each["behind"] for each in await statuses(database_url, namespace)) and clock.now() < until:
        await clock.sleep(_LOOK_EVERY)


def _books(lines: Sequence[Balance], out: Console) -> bool:
    out.print("\nDo the books balance?")
    for line in lines:
        if line.holds:
            shown = f"{len(line.found)}" if isinstance(line.found, list) else line.found
            out.print(f"  [green]yes[/green]  {line.what}: {shown}", highlight=False)
        else:
            out.print(
                f"  [red]NO[/red]   {line.what}: expected {line.expected}, found {line.found}",
                highlight=False,
            )
    return all(line.holds for line in lines)


def _first() -> str:
    """What makes `amends` a command, where it is none yet: as after `make demo`."""
    activate = Path(sys.executable).with_name("activate")
    return "" if which("amends") or not activate.exists() else f", after `. {relpath(activate)}`"


def _what_next(orders: Sequence[OrderPlaced], fates: Sequence[Fate], out: Console) -> None:
    order, fate = max(zip(orders, fates, strict=True), key=lambda each: _FATES.index(each[1]))
    example = order.order_id
    out.print(f"\nWhat to try next{_first()}:", highlight=False)
    out.print(f"  amends history {example}   what became of an order: {fate.name}", highlight=False)
    out.print(f"  amends show {example}      where the saga stands; --json for programs", highlight=False)
    out.print(f"  amends timeline {example}  the same as a picture", highlight=False)
    out.print("  amends list --status compensated   every order that was undone", highlight=False)
    out.print("  amends new shop && cd shop   a first saga of your own", highlight=False)
