"""How far the projections are, as the view `projections` tells it."""

from __future__ import annotations

from amends.domain.events import JsonObject
from amends.infrastructure.postgres.showing import Showing
from amends.projections.installing import prepare


async def statuses(database_url: str, namespace: str) -> list[JsonObject]:
    """Every copy that is live or being built, as JSON."""
    await prepare(database_url, namespace)
    async with Showing.open(database_url, namespace) as showing:
        return [
            {
                **row,
                "behind_since": row["behind_since"] and row["behind_since"].isoformat(),
                "begun_at": row["begun_at"].isoformat(),
            }
            for row in await showing.projections()
        ]
