"""What the database tells: migrations, workers, quarantine, the outbox, dead letters, projections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from amends.infrastructure.postgres.copies import MIGRATIONS as PROJECTION_MIGRATIONS
from amends.infrastructure.postgres.datastore import with_defaults
from amends.infrastructure.postgres.migrate import differing
from amends.infrastructure.postgres.reaching import reaching
from amends.infrastructure.postgres.store import MIGRATIONS as STORE_MIGRATIONS
from amends.infrastructure.postgres.store import PostgresStore
from amends.infrastructure.postgres.views import PostgresViews
from amends.projections.doctor.finding import Finding, attention, broken, well
from amends.projections.paging import DEAD_LETTERS, MOST, page
from amends.projections.status import statuses

_SOON: Final = timedelta(seconds=10)
"""How long a message may lie in the outbox, or an event wait for a view."""


async def migration_findings(database_url: str, namespace: str) -> Sequence[Finding]:
    """Whether the tables are those that this version of Amends expects. Raises `DatabaseUnreachable`."""
    pending: list[str] = []
    unknown: list[str] = []
    for package in (STORE_MIGRATIONS, PROJECTION_MIGRATIONS):
        with reaching("the database URL (AMENDS_DATABASE_URL)"):
            more, strange = await differing(with_defaults(database_url), package, namespace)
        pending += more
        unknown += strange
    if unknown:
        told = f"the database has migrations that this version does not know: {', '.join(unknown)}"
        return [broken("migrations", told, "upgrade this program: a newer one has run here")]
    if pending:
        told = f"not applied before now: {', '.join(pending)}"
        return [attention("migrations", told, "nothing: they have just been applied, as at every start")]
    return [well("migrations", "all applied")]


async def store_findings(store: PostgresStore) -> Sequence[Finding]:
    """Workers, quarantine and outbox."""
    return [*await _workers(store), *await _quarantine(store), *await _outbox(store)]


async def projection_findings(database_url: str, namespace: str) -> Sequence[Finding]:
    """Whether the views follow, and whether there are dead letters."""
    found: list[Finding] = []
    for copy in await statuses(database_url, namespace):
        name = f"projection {copy['projection']}"
        if copy["error"]:
            mend = f"amends projections rebuild {copy['projection']}"
            found.append(broken(name, f"does not go on: {copy['error']}", mend))
        elif copy["behind"]:
            told = f"{copy['behind']} events are not shown yet, the first since {copy['behind_since']}"
            found.append(attention(name, *_behind(copy["fed"], told)))
        else:
            found.append(well(name, "shows all that is recorded"))
    async with PostgresViews.open(database_url, namespace) as views:
        letters = await page(views, DEAD_LETTERS, {}, limit=MOST)
    if letters.rows:
        number = f"{len(letters.rows)}{' or more' if letters.next else ''}"
        found.append(attention("dead letters", f"{number} messages could not be handled", "amends dead list"))
    else:
        found.append(well("dead letters", "none"))
    return found


def _behind(fed: bool, told: str) -> tuple[str, str]:
    """What is told of a projection that is behind, and what helps."""
    if fed:
        return f"{told}; it is being fed", "look again: the number should go down"
    return f"{told}, and nobody feeds it", "amends projections run, or amends worker MODULE"


async def _workers(store: PostgresStore) -> Sequence[Finding]:
    missing = await store.workers.missing()
    if not missing:
        return [well("workers", "every version of an unfinished saga is held by one that runs")]
    return [
        broken(
            "workers",
            f"nobody holds {each.saga}@{each.definition}: {each.sagas} sagas and {each.held} messages wait",
            f"amends worker MODULE  # one that holds {each.saga}@{each.definition}",
        )
        for each in missing
    ]


async def _quarantine(store: PostgresStore) -> Sequence[Finding]:
    found = await store.quarantined()
    if not found:
        return [well("quarantine", "empty")]
    first = found[0]
    told = f"{len(found)} sagas cannot be decided; the longest since {first.since.isoformat()}: {first.error}"
    mend = f"amends show {first.saga_id}; mend the definition and restart its worker, or amends release"
    return [attention("quarantine", told, mend)]


async def _outbox(store: PostgresStore) -> Sequence[Finding]:
    waiting = await store.unpublished(MOST, _SOON)
    if not waiting:
        return [well("outbox", "all that was committed is published")]
    number = f"{len(waiting)}{' or more' if len(waiting) == MOST else ''}"
    told = f"{number} messages were committed more than {_SOON.seconds} s ago and are not published"
    return [broken("outbox", told, "run a worker, and see in its log why the broker does not take them")]
