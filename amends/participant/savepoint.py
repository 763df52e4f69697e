"""The savepoint of a handler, in PostgreSQL."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

from amends.infrastructure.postgres.link import is_transient


class PostgresSavepoint:
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
            # A constraint deferred to the commit is checked now, while it can be laid to the handler.
            await self.tx.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self._kept = True

    async def undo(self) -> None:
        """As though nothing had been done."""
        await self.tx.execute("ROLLBACK TO amends_handler; RELEASE amends_handler")

    def is_intact(self) -> bool:
        """Whether no error of the database was swallowed since it began."""
        return self.tx.info.transaction_status != TransactionStatus.INERROR

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
