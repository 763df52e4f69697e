"""The copies and the views that there must be, before anything can be fed or read."""

from __future__ import annotations

from collections.abc import Mapping

from amends.infrastructure.postgres.copies import Copies
from amends.projections.catalogue import PROJECTIONS, STORE_VIEWS, STORE_VIEWS_VERSION
from amends.projections.projection import Projection


async def prepare(database_url: str, namespace: str) -> None:
    """Make the tables and all views, empty where nothing has fed them; several programs may do so at once."""
    projections = {each.name: each for each in PROJECTIONS}
    async with Copies.open(database_url, namespace) as copies:
        await copies.migrate()
        await ensure_copies(copies, projections)
        await ensure_views(copies, projections)


async def ensure_copies(copies: Copies, projections: Mapping[str, Projection]) -> None:
    """Every projection has a live copy, and where that is of an older version, one that is being built."""
    if not await _missing(copies, projections):
        return
    async with copies.alone():
        for projection, state in await _missing(copies, projections):
            await copies.make(projection.name, projection.version, projection.package, state)


async def ensure_views(copies: Copies, projections: Mapping[str, Projection]) -> None:
    """The views are what their `.sql` files say, unless they are of a newer program."""
    async with copies.alone():
        await copies.ensure_schema()
        await copies.show("store", STORE_VIEWS_VERSION, STORE_VIEWS, ["sentence", "audit", "limits"])
        for copy in await copies.all():
            projection = projections.get(copy.name)
            if projection and copy.state == "live" and copy.version == projection.version:
                await copies.show(copy.name, copy.version, projection.package, ["views"], copy)


async def _missing(copies: Copies, projections: Mapping[str, Projection]) -> list[tuple[Projection, str]]:
    found = await copies.all()
    missing: list[tuple[Projection, str]] = []
    for each in projections.values():
        versions = {copy.state: copy.version for copy in found if copy.name == each.name}
        if "live" not in versions:
            missing.append((each, "live"))
        elif versions["live"] < each.version and "building" not in versions:
            missing.append((each, "building"))
    return missing
