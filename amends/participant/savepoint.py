"""What undoes a handler, in PostgreSQL: a savepoint of its own, or nothing where it has done nothing."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

from psycopg import AsyncConnection
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

from amends.infrastructure.postgres.attentive import AttentiveConnection
from amends.infrastructure.postgres.link import is_transient
from amends.participant.ports import Unguarded

C = TypeVar("C", bound=AsyncConnection[Any])

_DEFERRED: Final = "SET CONSTRAINTS ALL IMMEDIATE"
"""Checks now, while it can be laid to the handler, what was deferred to the commit."""


class _InTransaction(Generic[C]):
    """What can be told of a transaction while handlers work in it."""

    tx: C

    def is_intact(self) -> bool:
        """Whether it still stands: no error was swallowed, and nothing ended it."""
        return self.tx.info.transaction_status not in (TransactionStatus.INERROR, TransactionStatus.IDLE)

    def is_lost(self, error: Exception) -> bool:
        """Whether the batch is tried again: the connection is gone, or the transaction was chosen as a victim.

        Not so for trouble with another database that the handler talks to: that is an outage to be answered. Nor for
        a statement that takes longer than it may: it would, again and again.
        """
        if self.tx.closed or self.tx.broken:
            return True
        if not is_transient(error) or isinstance(error, QueryCanceled):
            return False
        usable = self.tx.info.transaction_status == TransactionStatus.INTRANS
        return (getattr(error, "sqlstate", None) or "").startswith("40") if usable else True


class PostgresSavepoint(_InTransaction[AsyncConnection]):
    """The `Savepoint` port: the savepoint of one handler after the other in a batch's transaction.

    A kept one is released with the next one's beginning, which saves a round trip for each handler. `alone`
    tells that there is one handler only in the transaction.
    """

    def __init__(self, tx: AsyncConnection, *, alone: bool) -> None:
        self.tx = tx
        self._alone = alone
        self._kept = False

    async def begin(self) -> None:
        """What comes from here on can be undone."""
        await self.tx.execute(
            "RELEASE amends_handler; SAVEPOINT amends_handler" if self._kept else "SAVEPOINT amends_handler"
        )
        self._kept = False

    async def keep(self) -> None:
        """What was done will be committed."""
        if self._alone:
            await self.tx.execute(_DEFERRED)
        self._kept = True

    async def undo(self) -> None:
        """As though nothing had been done."""
        await self.tx.execute("ROLLBACK TO amends_handler; RELEASE amends_handler")


class NoSavepoint(_InTransaction[AttentiveConnection]):
    """The `Savepoint` port where nearly every handler succeeds: one that has asked nothing of the database needs none.

    Any other is undone by the end of the whole transaction, which is then begun again with savepoints.
    """

    def __init__(self, tx: AttentiveConnection) -> None:
        self.tx = tx
        self._before = 0

    async def begin(self) -> None:
        """What is asked of the database from here on is noticed."""
        self._before = self.tx.exchanges

    async def keep(self) -> None:
        """What was done will be committed."""

    async def undo(self) -> None:
        """There must be nothing to undo. Raises `Unguarded` where there may be."""
        if self.tx.exchanges != self._before:
            raise Unguarded("a handler failed after it had asked something of the database")
