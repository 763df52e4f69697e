"""What a participant asks of its own database: PostgreSQL in production, memory in tests without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from amends.domain.errors import AmendsError
from amends.infrastructure.ports import Outgoing
from amends.infrastructure.postgres.outbox import Recorded
from amends.participant.memory import Memory
from amends.participant.requests import Claim, DeadLetter

T = TypeVar("T")


class Connection(Protocol):
    """A connection to the service's database."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """All that is done in its body is committed at its end; an error rolls it back."""
        ...

    def pipeline(self) -> AbstractAsyncContextManager[Any]:
        """Statements in its body travel together, as long as none waits for the answer to another."""
        ...


class Unguarded(AmendsError):
    """What a handler did cannot be undone alone: the whole transaction must be, and be done again, guarded."""


class Savepoint(Protocol):
    """What undoes one handler after the other in a batch's transaction."""

    tx: Any
    """What handlers work on."""

    async def begin(self) -> None:
        """What comes from here on can be undone."""
        ...

    async def keep(self) -> None:
        """What was done will be committed."""
        ...

    async def undo(self) -> None:
        """As though nothing had been done. Raises `Unguarded` where that is not possible."""
        ...

    def is_intact(self) -> bool:
        """Whether the transaction still stands: no error of the database was swallowed, and nothing ended it."""
        ...

    def is_lost(self, error: Exception) -> bool:
        """Whether the error ends the whole transaction, so that the batch must be tried again."""
        ...


class Ledger(Protocol):
    """The rows in which the promises are kept. Every method works in the caller's transaction."""

    async def load(self, tx: Any, claims: Sequence[Claim]) -> Memory:
        """Insert or lock the rows of all keys that a batch is about, and read what they say."""
        ...

    async def save(self, tx: Any, memory: Memory, dead: Sequence[DeadLetter]) -> None:
        """Write what a batch made of its keys, and what could not be handled."""
        ...

    def savepoint(self, tx: Any, *, alone: bool, guarded: bool) -> Savepoint:
        """What undoes the handlers of a batch; `alone` tells that there is one only.

        `guarded`: each can be undone alone. Otherwise only one that has done nothing, which costs less.
        """
        ...


class Outbox(Protocol):
    """Where answers are recorded with what they tell of."""

    async def enqueue(self, tx: Any, messages: Sequence[Outgoing], *, wake: bool = True) -> list[Recorded]:
        """Record messages in the caller's transaction; `wake` tells the relays at its commit."""
        ...


class Link(Protocol):
    """A connection that comes back when it breaks."""

    async def run(self, work: Callable[[Any], Awaitable[T]], /) -> T:
        """What `work` returns, given the connection."""
        ...


class Answers(Protocol):
    """What publishes recorded answers."""

    async def publish(self, recorded: Sequence[Recorded]) -> None:
        """Publish these; what the broker refuses stays recorded and is tried again."""
        ...
