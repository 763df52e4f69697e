"""A service's database in memory: the ports of a participant, with the transactions that its promises rest on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, TypeVar

from amends.domain import wire
from amends.infrastructure.memory.store import MemoryMarks
from amends.infrastructure.ports import Clock, Outgoing
from amends.infrastructure.postgres.outbox import Recorded
from amends.participant.memory import Key, Memory
from amends.participant.ports import Unguarded
from amends.participant.requests import Claim, DeadLetter
from amends.testing.processes import Process

T = TypeVar("T")


@dataclass(slots=True)
class _Sent:
    """A row of the outbox."""

    recorded: Recorded
    at: datetime


@dataclass
class Tables:
    """What is committed. `effects` is what handlers did, in their order: whatever they chose to note.

    `answered` are the ids of the commands that were ever answered.
    """

    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    failed: dict[str, bytes] = field(default_factory=dict[str, bytes])
    refused: dict[str, bytes] = field(default_factory=dict[str, bytes])
    effects: list[Any] = field(default_factory=list[Any])
    dead: list[DeadLetter] = field(default_factory=list[DeadLetter])
    outbox: dict[int, _Sent] = field(default_factory=dict[int, _Sent])
    unpublished: set[int] = field(default_factory=set[int])
    answered: set[str] = field(default_factory=set[str])
    position: int = 0


class Connection:
    """One replica's connection. Transactions of one database come one after the other, as on one locked row."""

    def __init__(self, database: ServiceDatabase, process: Process) -> None:
        self.database = database
        self.process = process
        self.claims: Sequence[Claim] = ()
        self.effects: list[Any] = []
        self.writes: list[Callable[[Tables], object]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All that is done in its body is committed at its end; an error, and a death, rolls it back."""
        async with self.database.lock:
            await self.process.gate("service.begin")
            self.claims, self.effects, self.writes = (), [], []
            yield
            await self.process.gate("service.commit")
            tables = self.database.tables
            for write in self.writes:
                write(tables)
            tables.effects += self.effects
            self.database.committed(self.claims, self.effects)
        await self.process.gate("service.commit done")

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[None]:
        """Nothing travels here."""
        yield


class ServiceDatabase:
    """One service's database, shared by its replicas; it outlives them."""

    def __init__(self, clock: Clock, horizon: timedelta = timedelta(days=30)) -> None:
        self.clock = clock
        self.horizon = horizon
        self.tables = Tables()
        self.lock = asyncio.Lock()
        self.marks = MemoryMarks()
        self.sweeping: Process | None = None
        self.committed: Callable[[Sequence[Claim], Sequence[Any]], None] = lambda claims, effects: None
        """Told of each transaction that commits: what it was about, and the effects in it."""

    @property
    def is_published(self) -> bool:
        """Whether every answer is known to be published."""
        return not self.tables.unpublished


class ServiceLink:
    """The `Link` port: a connection that is there as long as the replica lives."""

    def __init__(self, database: ServiceDatabase, process: Process) -> None:
        self._connection = Connection(database, process)

    async def run(self, work: Callable[[Any], Awaitable[T]], /) -> T:
        """What `work` returns, given the connection."""
        return await work(self._connection)


class ServiceSavepoint:
    """The `Savepoint` port: handlers note in `tx.effects` what they do."""

    def __init__(self, tx: Connection, guarded: bool) -> None:
        self.tx: Any = tx
        self._guarded = guarded
        self._kept = 0

    async def begin(self) -> None:
        """What comes from here on can be undone."""
        self._kept = len(self.tx.effects)

    async def keep(self) -> None:
        """What was done will be committed."""
        self._kept = len(self.tx.effects)

    async def undo(self) -> None:
        """As though nothing had been done. Raises `Unguarded`."""
        if not self._guarded and len(self.tx.effects) > self._kept:
            raise Unguarded("a handler failed after it had an effect")
        del self.tx.effects[self._kept :]

    def is_intact(self) -> bool:
        """Nothing here breaks a transaction and goes on."""
        return True

    def is_lost(self, error: Exception) -> bool:
        """No error of a handler ends a transaction."""
        return False


class ServiceLedger:
    """The `Ledger` port."""

    async def load(self, tx: Connection, claims: Sequence[Claim]) -> Memory:
        """The rows of all keys of a batch, fresh ones where there are none and could not have been."""
        tables, now = tx.database.tables, tx.database.clock.now()
        tx.claims = claims
        keys: dict[str, Key] = {}
        for claim in claims:
            identity = claim.request.forward_key
            known = tables.keys.get(identity)
            if known is not None:
                keys[identity] = replace(known, fresh=False, changed=False)
            elif claim.request.opened >= now - tx.database.horizon:
                keys[identity] = Key(identity, claim.action)
        fresh = [key for key in keys.values() if key.fresh]
        tx.writes.append(lambda tables: tables.keys.update({key.forward_key: replace(key) for key in fresh}))
        failed = _of(tables.failed, (claim.request.command_id for claim in claims))
        refused = _of(tables.refused, (claim.request.key for claim in claims))
        return Memory(now, tx.database.horizon, keys, failed, refused)

    async def save(self, tx: Connection, memory: Memory, dead: Sequence[DeadLetter]) -> None:
        """Write what a batch made of its keys, and what could not be handled."""
        changed = list(memory.changed())
        failed = {identity: memory.failed[identity] for identity in memory.new_failed}
        refused = {identity: memory.refused[identity] for identity in memory.new_refused}

        def write(tables: Tables) -> None:
            tables.keys.update({key.forward_key: replace(key) for key in changed})
            tables.failed |= failed
            tables.refused |= refused
            tables.dead += dead

        tx.writes.append(write)

    def savepoint(self, tx: Connection, *, alone: bool, guarded: bool) -> ServiceSavepoint:
        """What undoes the handlers of a batch."""
        return ServiceSavepoint(tx, guarded)


def _of(answers: Mapping[str, bytes], ids: Iterable[str]) -> dict[str, bytes]:
    return {identity: answers[identity] for identity in ids if identity in answers}


class ServiceOutbox:
    """The outbox of a participant, with all that its relay asks for."""

    schema = "memory"

    async def enqueue(
        self, tx: Connection, messages: Sequence[Outgoing], *, wake: bool = True
    ) -> list[Recorded]:
        """Record messages in the caller's transaction."""
        tables, now = tx.database.tables, tx.database.clock.now()
        recorded: list[Recorded] = []
        for message in messages:
            tables.position += 1  # a sequence: what is rolled back leaves a gap
            recorded.append(Recorded(tables.position, message))
        rows = {each.position: _Sent(each, now) for each in recorded}

        def write(tables: Tables) -> None:
            tables.outbox |= rows
            tables.unpublished |= rows.keys()
            tables.answered |= {message.headers.get(wire.CAUSATION_ID, "") for message in messages}

        tx.writes.append(write)
        return recorded

    async def unpublished(
        self, connection: Connection, limit: int, *, after: int = 0, grace: timedelta = timedelta(0)
    ) -> list[Recorded]:
        """Messages not marked as published, beyond a position and recorded at least `grace` ago."""
        await connection.process.gate("service.unpublished")
        latest = connection.database.clock.now() - grace
        tables = connection.database.tables
        rows = (tables.outbox[position] for position in sorted(tables.unpublished) if position > after)
        return [row.recorded for row in rows if row.at <= latest][:limit]

    async def mark_published(self, connection: Connection, messages: Sequence[Recorded]) -> None:
        """Remember that the broker has stored these."""
        await connection.process.gate("service.published")
        tables = connection.database.tables
        for each in messages:
            row = tables.outbox.get(each.position)
            if row is not None and row.recorded.losses == each.losses:
                tables.unpublished.discard(each.position)

    async def mark_lost(self, connection: Connection) -> int:
        """Have everything that is still kept published once more."""
        await connection.process.gate("service.lost")
        tables = connection.database.tables
        for row in tables.outbox.values():
            known, losses = row.recorded, row.recorded.losses + 1
            message = replace(known.message, deduplication_id=f"{known.message.message_id}/{losses}")
            row.recorded = Recorded(known.position, message, losses)
        tables.unpublished |= tables.outbox.keys()
        return len(tables.outbox)

    async def prune(self, connection: Connection, keep: timedelta, limit: int = 1000) -> int:
        """Delete what was published longer ago than `keep`."""
        tables, oldest = connection.database.tables, connection.database.clock.now() - keep
        published = (item for item in tables.outbox.items() if item[0] not in tables.unpublished)
        old = [position for position, _ in takewhile(lambda item: item[1].at < oldest, published)][:limit]
        for position in old:
            del tables.outbox[position]
        return len(old)

    async def take_turn(self, connection: Connection) -> bool:
        """Whether this replica alone may sweep now; a dead one's turn is over."""
        sweeping = connection.database.sweeping
        if sweeping is not None and sweeping.alive and sweeping is not connection.process:
            return False
        connection.database.sweeping = connection.process
        return True

    async def end_turn(self, connection: Connection) -> None:
        """Let another one sweep."""
        connection.database.sweeping = None
