"""The projection of where every saga stands: one row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic_core import from_json

from amends.domain.events import JsonObject
from amends.projections.projection import Change, Columns, Logged, States, dumps
from amends.projections.sagas.fold import evolve
from amends.projections.sagas.standing import COLUMNS, row


class Sagas:
    """What each saga has done, what it waits for, and since when. The views are told of in docs/views.md."""

    name: ClassVar[str] = "sagas"
    version: ClassVar[int] = 1
    package: ClassVar[str] = "amends.projections.sagas.sql"

    def fold(self, states: States, events: Sequence[Logged]) -> Sequence[Change]:
        """One row for each saga in the batch, however many of its events are in it."""
        sagas: dict[str, JsonObject] = {}
        for event in events:
            saga = sagas.get(event.saga_id)
            if saga is None:
                known = states.get(event.saga_id)
                saga = sagas[event.saga_id] = from_json(known) if known else {"version": 0}
            if event.version > saga["version"]:
                evolve(saga, event)
        return [Change("save_sagas", _columns(sagas))]


def _columns(sagas: dict[str, JsonObject]) -> Columns:
    rows = [row(saga) for saga in sagas.values()]
    columns: Columns = {
        name: list(values) for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }
    return {"ids": list(sagas), **columns, "states": [dumps(saga) for saga in sagas.values()]}
