"""The participant's own rows: statements whose number does not grow with the batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow, scalar_row, tuple_row

from amends.domain.wire import Direction, Outcome
from amends.infrastructure.letters import plain
from amends.infrastructure.postgres.arrays import Bodies, Moments, Names, Texts
from amends.infrastructure.postgres.attentive import AttentiveConnection
from amends.infrastructure.postgres.queries import load
from amends.participant.answers import dead_letter_id
from amends.participant.memory import Key, Memory
from amends.participant.ports import Savepoint
from amends.participant.requests import Claim, DeadLetter
from amends.participant.savepoint import NoSavepoint, PostgresSavepoint

_QUERIES: Final = "amends.participant.sql"
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLANNED_ANEW: Final = False
"""Not prepared: a plan made while the table was small, to read all of it, would be kept until somebody analyses it."""


class PostgresLedger:
    """The `Ledger` port: what is promised, in the tables of one schema.

    Every method works in the caller's transaction.
    """

    def __init__(self, schema: str, horizon: timedelta) -> None:
        self.horizon = horizon
        names = ("claim_keys", "lock_keys", "recall", "save_keys", "remember", "bury", "forget")
        self._sql = {name: load(_QUERIES, name, schema) for name in names}

    async def load(self, tx: AsyncConnection, claims: Sequence[Claim]) -> Memory:
        """Insert or lock the rows of all keys that a batch is about, and read what they say."""
        _attend(tx, attentive=True)
        fresh, now = await self._claim(tx, claims)
        memory = Memory(now, self.horizon, fresh)
        # Of a key that is new nothing can be remembered.
        known = [claim for claim in claims if claim.request.forward_key not in fresh]
        if known or not claims:
            await self._recall_known(tx, known, memory)
        return memory

    async def save(self, tx: AsyncConnection, memory: Memory, dead: Sequence[DeadLetter]) -> None:
        """Write what a batch made of its keys, and what could not be handled."""
        _attend(tx, attentive=False)
        if changed := list(memory.changed()):
            await tx.execute(
                self._sql["save_keys"],
                {
                    "keys": Texts([key.forward_key for key in changed]),
                    "actions": Names([key.action for key in changed]),
                    "outcomes": Texts([key.outcome for key in changed]),
                    "answers": Bodies([key.answer for key in changed]),
                    "undone": Bodies([key.compensation_answer for key in changed]),
                },
            )
        if memory.new_failed or memory.new_refused:
            commands, own = memory.new_failed, memory.new_refused
            await tx.execute(
                self._sql["remember"],
                {
                    "kinds": ["command"] * len(commands) + ["key"] * len(own),
                    "ids": [*commands, *own],
                    "keys": [*commands.values(), *own.values()],
                    "bodies": [
                        *(memory.failed[each] for each in commands),
                        *(memory.refused[each] for each in own),
                    ],
                },
            )
        if dead:
            await self._bury(tx, dead)

    def savepoint(self, tx: AsyncConnection, *, alone: bool, guarded: bool) -> Savepoint:
        """What undoes the handlers of a batch; `alone` tells that there is one only."""
        if guarded or not isinstance(tx, AttentiveConnection):
            return PostgresSavepoint(tx, alone=alone)
        return NoSavepoint(tx)

    async def forget(self, tx: AsyncConnection, limit: int = 1000) -> int:
        """Delete up to `limit` keys beyond the horizon; returns how many it were."""
        cursor = tx.cursor(row_factory=scalar_row)
        await cursor.execute(self._sql["forget"], {"horizon": self.horizon, "limit": limit})
        return int(await cursor.fetchone() or 0)

    async def _claim(self, tx: AsyncConnection, claims: Sequence[Claim]) -> tuple[dict[str, Key], datetime]:
        """The keys whose rows were inserted, and the time when the last of them was."""
        cursor = await tx.cursor(row_factory=tuple_row).execute(
            self._sql["claim_keys"],
            {
                "keys": Texts([claim.request.forward_key for claim in claims]),
                "actions": Names([claim.action for claim in claims]),
                "opened": Moments([claim.request.opened for claim in claims]),
                "horizon": self.horizon,
            },
        )
        rows = await cursor.fetchall()
        return {key: Key(key, action) for key, action, _ in rows}, max(
            (row[2] for row in rows), default=_NEVER
        )

    async def _recall_known(self, tx: AsyncConnection, claims: Sequence[Claim], memory: Memory) -> None:
        """Lock the rows that were there before, and read what they and the answers beside them say."""
        # Two statements after the claim, for each must see what was committed while the one before waited for a lock.
        async with tx.pipeline():
            locked = await self._lock(tx, claims)
            recalled = await self._recall(tx, claims)
            memory.keys |= {key.forward_key: key for key in map(_key, await locked.fetchall())}
            rows = await recalled.fetchall()
        memory.now = rows[0][0]
        memory.failed = {identity: body for _, kind, identity, body in rows if kind == "command"}
        memory.refused = {identity: body for _, kind, identity, body in rows if kind == "key"}

    async def _lock(self, tx: AsyncConnection, claims: Sequence[Claim]) -> AsyncCursor[TupleRow]:
        return await tx.cursor(row_factory=tuple_row).execute(
            self._sql["lock_keys"],
            {"keys": Texts([claim.request.forward_key for claim in claims])},
            prepare=_PLANNED_ANEW,
        )

    async def _recall(self, tx: AsyncConnection, claims: Sequence[Claim]) -> AsyncCursor[TupleRow]:
        own = [claim.request.key for claim in claims if claim.request.direction is Direction.COMPENSATE]
        return await tx.cursor(row_factory=tuple_row).execute(
            self._sql["recall"],
            {"commands": Texts([claim.request.command_id for claim in claims]), "keys": Texts(own)},
            prepare=_PLANNED_ANEW,
        )

    async def _bury(self, tx: AsyncConnection, dead: Sequence[DeadLetter]) -> None:
        await tx.execute(
            self._sql["bury"],
            {
                "ids": [dead_letter_id(each.message) for each in dead],
                "reasons": [plain(each.reason) for each in dead],
                "subjects": [plain(each.message.subject) for each in dead],
                "headers": [json.dumps(dict(each.message.headers)) for each in dead],
                "bodies": [each.message.body for each in dead],
                "received": [each.message.received for each in dead],
            },
        )


def _attend(tx: AsyncConnection, *, attentive: bool) -> None:
    """For statements that follow each other; not for the commit, which waits for a disk."""
    if isinstance(tx, AttentiveConnection):
        tx.attentive = attentive


def _key(row: TupleRow) -> Key:
    forward_key, action, outcome, answer, compensated, undone = row
    return Key(
        forward_key=forward_key,
        action=action,
        outcome=Outcome(outcome) if outcome else None,
        answer=answer,
        compensated=compensated,
        compensation_answer=undone,
        fresh=False,
    )
