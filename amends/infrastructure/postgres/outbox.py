"""Messages that are recorded with what they tell of, and published after the commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import scalar_row, tuple_row

from amends.infrastructure.headers import restored, stored
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.arrays import Bodies, Encoded, Names, Numbers, Texts
from amends.infrastructure.postgres.migrate import migrate
from amends.infrastructure.postgres.queries import load

CHANNEL: Final = "amends_outbox"
"""The NOTIFY channel that wakes relays; the payload is the schema."""

_MIGRATIONS: Final = "amends.infrastructure.postgres.outbox_migrations"
_QUERIES: Final = "amends.infrastructure.postgres.outbox_sql"


async def migrate_outbox(conninfo: str, schema: str) -> None:
    """Make the outbox's table in `schema`, or bring it up to date."""
    await migrate(conninfo, _MIGRATIONS, schema)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message in the outbox, its place there, and how often the broker lost what it had until then."""

    position: int
    message: Outgoing
    losses: int = 0


class Outbox:
    """The outbox table of one schema. Every method works on the connection that it is given."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._enqueue = load(_QUERIES, "enqueue", schema)
        self._unpublished = load(_QUERIES, "unpublished", schema)
        self._published = load(_QUERIES, "published", schema)
        self._lost = load(_QUERIES, "lost", schema)
        self._prune = load(_QUERIES, "prune", schema)
        self._wake = load(_QUERIES, "wake", schema)
        self._take_turn = load(_QUERIES, "take_turn", schema)
        self._end_turn = load(_QUERIES, "end_turn", schema)

    async def enqueue(
        self, tx: AsyncConnection, messages: Sequence[Outgoing], *, wake: bool = True
    ) -> list[Recorded]:
        """Record messages in the caller's transaction; `wake` tells the relays at its commit."""
        if not messages:
            return []
        cursor = tx.cursor(row_factory=scalar_row)
        await cursor.execute(
            self._enqueue,
            {
                "ids": Texts([message.message_id for message in messages]),
                "subjects": Names([message.subject for message in messages]),
                "headers": Encoded([stored(message.headers) for message in messages]),
                "bodies": Bodies([message.body for message in messages]),
            },
        )
        positions = [int(position) for position in await cursor.fetchall()]
        if wake:
            await tx.execute(self._wake, {"channel": CHANNEL, "schema": self.schema})
        return [Recorded(*pair) for pair in zip(positions, messages, strict=True)]

    async def unpublished(
        self, connection: AsyncConnection, limit: int, *, after: int = 0, grace: timedelta = timedelta(0)
    ) -> list[Recorded]:
        """Messages not marked as published, beyond a position and recorded at least `grace` ago."""
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(self._unpublished, {"after": after, "grace": grace, "limit": limit})
        return [
            Recorded(
                position,
                Outgoing(
                    message_id=message_id,
                    subject=subject,
                    headers=restored(headers),
                    body=body,
                    deduplication_id=f"{message_id}/{losses}" if losses else message_id,
                ),
                losses,
            )
            for position, message_id, subject, headers, body, losses in await cursor.fetchall()
        ]

    async def mark_published(self, connection: AsyncConnection, messages: Sequence[Recorded]) -> None:
        """Remember that the broker has stored these."""
        by_losses: defaultdict[int, list[int]] = defaultdict(list)
        for each in messages:
            by_losses[each.losses].append(each.position)
        for losses, positions in by_losses.items():
            await connection.execute(self._published, {"positions": Numbers(positions), "losses": losses})

    async def mark_lost(self, connection: AsyncConnection) -> int:
        """Have everything that is still kept published once more; returns how many messages that is."""
        return (await connection.execute(self._lost)).rowcount

    async def prune(self, connection: AsyncConnection, keep: timedelta, limit: int = 1000) -> int:
        """Delete up to `limit` messages published longer ago than `keep`; returns how many it were."""
        return (await connection.execute(self._prune, {"keep": keep, "limit": limit})).rowcount

    async def take_turn(self, connection: AsyncConnection) -> bool:
        """Whether this connection alone may sweep the outbox now."""
        cursor = connection.cursor(row_factory=scalar_row)
        await cursor.execute(self._take_turn, {"schema": self.schema})
        return bool(await cursor.fetchone())

    async def end_turn(self, connection: AsyncConnection) -> None:
        """Let another one sweep."""
        await connection.execute(self._end_turn, {"schema": self.schema})
