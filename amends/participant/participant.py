"""A participant: a name, its handlers, and how it runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Generic, overload

from pydantic import SecretStr
from typing_extensions import TypeVar

from amends.domain import wire
from amends.domain.errors import AmendsError, DefinitionError
from amends.domain.messages import Command, Done, Event
from amends.infrastructure.postgres.migrate import migrate
from amends.infrastructure.postgres.outbox import Outbox, migrate_outbox
from amends.infrastructure.postgres.reaching import reaching
from amends.infrastructure.settings import Settings
from amends.participant.answers import Writer
from amends.participant.desk import Desk
from amends.participant.handlers import Handler, Handlers, Handles, HandlesDone
from amends.participant.ledger import PostgresLedger
from amends.participant.reactions import Reaction, Reactions, Reacts
from amends.participant.running import Running, place

R = TypeVar("R", bound=Event)
E = TypeVar("E", bound=Event)
L = TypeVar("L", default=Any)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


class NotRunning(AmendsError):
    """Something was asked for that only a running participant has."""


class Participant(Generic[L]):
    """A service that answers commands, or reacts to events, and keeps the promises about each of them.

    `name` names its durable consumer and its dead letters. `lifespan` makes a context manager that is entered
    while the participant runs; what it yields, clients for instance, handlers find in `resources`. `horizon`
    is how long keys are remembered; `keep_published` how long answers are kept to be published again after a
    loss of the broker. `batch` is how many commands share a transaction at most, and
    `ack_wait` how long the broker waits for one before another replica gets them. `schema` holds the
    participant's own tables in the service's database. `probe` is called at labelled points of each batch,
    for tests that kill the process there.

    Raises `DefinitionError` for a name that cannot be part of a subject.
    """

    def __init__(
        self,
        name: str,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[L]] | None = None,
        horizon: timedelta = timedelta(days=30),
        keep_published: timedelta = timedelta(days=7),
        batch: int = 100,
        ack_wait: timedelta = timedelta(seconds=30),
        schema: str = "amends_participant",
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"participant {name!r}: expected a name of lower-case letters, digits, '-' and '_'"
            )
        self.name: Final = name
        self.schema: Final = schema
        self.keep_published: Final = keep_published
        self.batch: Final = batch
        self.ack_wait: Final = ack_wait
        self.probe: Final = probe
        self.handlers: Final = Handlers()
        self.reactions: Final = Reactions()
        self.ledger: Final = PostgresLedger(schema, horizon)
        self.outbox: Final = Outbox(schema)
        self._lifespan = lifespan
        self._resources: L | None = None
        self._running: Running | None = None

    @overload
    def handles(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, command: type[Command[Done]], /, *, undoes: type[Command[Any]] | None = None
    ) -> HandlesDone: ...
    @overload
    def handles(
        self, command: type[Command[R]], /, *, undoes: type[Command[Any]] | None = None
    ) -> Handles[R]: ...
    def handles(self, command: type[Command[Any]], /, *, undoes: type[Command[Any]] | None = None) -> Any:
        """Declare the handler of a command: `async def handler(command, tx) -> reply`.

        `undoes` names the forward command that this one compensates; it then runs only for keys that took
        effect, once. Raises `DefinitionError` where two handlers could be meant.
        """

        def add(function: Callable[[Any, Any], Awaitable[Event | None]]) -> object:
            self.handlers.add(Handler(command, undoes, function))
            return function

        return add

    def reacts_to(
        self,
        event: type[E],
        /,
        *,
        key: str | Sequence[str] = (),
        rejected: type[Event] | None = None,
        undoes: type[Event] | None = None,
        publishes: type[Event] | None = None,
    ) -> Reacts[E]:
        """Declare a reaction to another service's event: `async def handler(event, tx) -> next event or None`.

        What it returns is published when its work is committed. `key` names the fields of the event that hold the
        key of the chain that it belongs to; without it the header `Amends-Key` does. For each key a reaction takes
        effect once. `Rejected` is a no: its work is rolled back, and the event that it names is published, or else one
        of the type `rejected`, made of the key alone. After `Failed`, or anything else, it is tried again, and after
        ten deliveries the event is a dead letter.

        With `undoes` it compensates what the reaction to that other event did for the same key: it runs only where
        that took effect, once. Where it did not, it never will from now on; and an event of the type `publishes`,
        made of the key alone, is published so that the chain goes on. Raises `DefinitionError`.
        """
        names = (key,) if isinstance(key, str) else tuple(key)

        def add(function: Callable[[Any, Any], Awaitable[Any]]) -> Any:
            self.reactions.add(Reaction(event, names, rejected, undoes, publishes, function))
            return function

        return add

    @property
    def resources(self) -> L:
        """What the lifespan yielded. Raises `NotRunning` outside of it."""
        if self._resources is None:
            raise NotRunning(
                f"participant {self.name!r}: resources exist only while it runs, and with `lifespan=…`"
            )
        return self._resources

    @asynccontextmanager
    async def running(
        self,
        settings: Settings | None = None,
        *,
        database_url: str | None = None,
        nats_url: str | None = None,
        namespace: str | None = None,
    ) -> AsyncIterator[Running]:
        """Run beside the body of the `async with`; leaving it finishes the batch at hand and stops.

        What is not given comes from the settings; without settings, from the environment. An error that ends
        the participant cancels the body and is raised here.
        """
        chosen = _chosen(settings or Settings(), database_url, nats_url, namespace)
        self._running = running = Running(self)
        try:
            async with place(self.name, chosen) as where, self._living(), running.serving(where):
                yield running
        finally:
            self._running = None

    async def run(
        self,
        settings: Settings | None = None,
        *,
        database_url: str | None = None,
        nats_url: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Run until `stop` is called, or the task is cancelled. The same arguments as `running`."""
        urls = {"database_url": database_url, "nats_url": nats_url, "namespace": namespace}
        async with self.running(settings, **urls) as running:
            await running.stopped()

    def stop(self) -> None:
        """Have `run` finish the batch at hand and return. Does nothing where it does not run."""
        if self._running is not None:
            self._running.stop()

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        if self._lifespan is None:
            yield
            return
        async with self._lifespan() as resources:
            self._resources = resources
            try:
                yield
            finally:
                self._resources = None

    async def migrate(self, database_url: str) -> None:
        """Make the participant's tables in the service's database, or bring them up to date.

        Raises `DatabaseUnreachable`, and `MigrationRefused` where another program made them.
        """
        with reaching("the participant's database URL (AMENDS_PARTICIPANT_DATABASE_URL)"):
            await migrate_outbox(database_url, self.schema)
            await migrate(database_url, "amends.participant.sql.migrations", self.schema)

    def desk(self, namespace: str, limit: int = wire.MAX_MESSAGE) -> Desk:
        """The core that answers batches on any connection; `limit` is how many bytes an answer may have."""
        if not list(self.handlers) and not list(self.reactions):
            raise DefinitionError(
                f"participant {self.name!r}: expected at least one handler; declare it with `handles` or `reacts_to`"
            )
        self.reactions.check()
        return Desk(
            Writer(namespace, self.name, limit),
            self.handlers,
            self.ledger,
            self.outbox,
            self.probe,
            self.reactions,
        )


def _chosen(
    settings: Settings, database_url: str | None, nats_url: str | None, namespace: str | None
) -> Settings:
    own = SecretStr(database_url) if database_url else settings.participant_database_url
    given = {
        "participant_database_url": own,
        # The process manager's database is not ours; naming one keeps it from being embedded in vain.
        "database_url": settings.database_url or own,
        "nats_url": SecretStr(nats_url) if nats_url else None,
        "namespace": namespace,
    }
    return settings.model_copy(update={name: value for name, value in given.items() if value})
