"""`amends show`: where a saga stands, also one that stands still."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from amends.cli.drawing import standing_table
from amends.cli.finding import find_saga, opened_store, quiet_settings
from amends.domain.errors import UnreadableEvent
from amends.domain.evolve import fold
from amends.infrastructure.ports import SagaRow
from amends.infrastructure.postgres.store import PostgresStore
from amends.projections.story import standing, unreadable

out = Console()


async def show_saga(saga: str, as_json: bool) -> None:
    """Print where it stands."""
    async with opened_store(quiet_settings()) as store:
        row = await find_saga(store, saga)
        facts = {**await _standing(store, row), **await _standstill(store, row)}
    if as_json:
        out.print_json(data=facts)
    else:
        out.print(standing_table(facts))


async def _standing(store: PostgresStore, row: SagaRow) -> dict[str, Any]:
    try:
        recorded = await store.history(row.saga_id)
    except UnreadableEvent:
        recorded = []
    state = fold((item.event for item in recorded), row.saga_id)
    if state is None:
        return unreadable(row.saga_id, row.saga, row.definition, row.key, row.status, row.version)
    shapes = {(shape["saga"], shape["version"]): shape for shape in await store.shapes()}
    steps = [step["name"] for step in shapes[row.saga, row.definition].get("steps", ())]
    return standing(state, len(recorded), steps)


async def _standstill(store: PostgresStore, row: SagaRow) -> dict[str, Any]:
    """Why nothing can happen to it at present: it is in quarantine, or no running worker holds its version."""
    told = next(iter(await store.quarantined(saga_id=row.saga_id)), None)
    missing = {(each.saga, each.definition) for each in await store.workers.missing()}
    quarantine = told and {
        "since": told.since.isoformat(),
        "error": told.error,
        "after_event": told.version,
        "held": told.held,
    }
    return {"quarantine": quarantine, "version_missing": (row.saga, row.definition) in missing}
