"""A participant: a name, its handlers, and how it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, overload

from typing_extensions import TypeVar

from amends.domain import wire
from amends.domain.errors import DefinitionError
from amends.domain.messages import Command, Done, Event
from amends.infrastructure.postgres.migrate import migrate
from amends.infrastructure.postgres.outbox import Outbox, migrate_outbox
from amends.participant.answers import Writer
from amends.participant.desk import Desk
from amends.participant.handlers import Handler, Handlers, Handles, HandlesDone
from amends.participant.ledger import Ledger

R = TypeVar("R", bound=Event)


class Participant:
    """A service that answers commands and keeps the promises about each of them.

    `name` names its durable consumer and its dead letters. `horizon` is how long keys are remembered;
    `keep_published` how long answers are kept to be published again after a loss of the broker. `batch` is
    how many commands share a transaction at most. `schema` holds its own tables in the service's database.
    `probe` is called at labelled points of each batch, for tests that kill the process there.
    """

    def __init__(
        self,
        name: str,
        *,
        horizon: timedelta = timedelta(days=30),
        keep_published: timedelta = timedelta(days=7),
        batch: int = 100,
        schema: str = "amends_participant",
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name: Final = name
        self.schema: Final = schema
        self.horizon: Final = horizon
        self.keep_published: Final = keep_published
        self.batch: Final = batch
        self.probe: Final = probe
        self.handlers: Final = Handlers()
        self.ledger: Final = Ledger(schema, horizon)
        self.outbox: Final = Outbox(schema)

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

    async def migrate(self, database_url: str) -> None:
        """Make the participant's tables in the service's database, or bring them up to date."""
        await migrate_outbox(database_url, self.schema)
        await migrate(database_url, "amends.participant.sql.migrations", self.schema)

    def desk(self, namespace: str, limit: int = wire.MAX_BODY) -> Desk:
        """The core that answers batches on any connection; `limit` is how many bytes an answer may have."""
        if not list(self.handlers):
            raise DefinitionError(
                f"participant {self.name!r}: expected at least one handler; declare it with `handles`"
            )
        return Desk(
            Writer(namespace, self.name, limit),
            self.handlers,
            self.ledger,
            self.outbox,
            self.probe,
        )
