"""The connections of the event store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from eventsourcing.postgres import ConnectionPool, PostgresDatastore
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import DictRow, dict_row

_DEFAULTS: Final[dict[str, str | int]] = {
    "application_name": "amends",
    "connect_timeout": 5,
    # A server that vanished without a word is noticed within half a minute.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_IDLE_IN_TRANSACTION: Final = 30.0


def with_defaults(database_url: str) -> str:
    """The URL as a connection string, with what it leaves open about time-outs."""
    given = conninfo_to_dict(database_url)
    return make_conninfo(database_url, **{k: v for k, v in _DEFAULTS.items() if k not in given})


class SagaDatastore(PostgresDatastore):
    """A pool of connections, made from the whole URL; nothing is read from the environment.

    The library's own would take five fields of the URL and drop the rest, its TLS options among it.
    """

    def __init__(self, conninfo: str, schema: str, size: int) -> None:
        super().__init__(
            "", "", "", "", "", schema=schema, idle_in_transaction_session_timeout=_IDLE_IN_TRANSACTION
        )
        self.pool = ConnectionPool(
            conninfo,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row, "autocommit": True},
            min_size=1,
            max_size=size,
            open=False,
            configure=self.after_connect_func(),
            name="amends",
            timeout=5.0,
            # After a short while the pool gives up, and the next operation makes it try anew: its own pauses
            # double without bound, and would go on long after the server is back.
            reconnect_timeout=1.0,
        )

    @contextmanager
    def get_connection(self) -> Iterator[Connection[DictRow]]:
        """One of the pool. It does not go back there when it leads to a server that takes no writes: after a failover
        a new one leads elsewhere.
        """
        with super().get_connection() as connection:
            try:
                yield connection
            except ReadOnlySqlTransaction:
                connection.close()
                raise

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        # A worker that is frozen in the middle of a transaction holds the lock on the events: it is cut off.
        cut_off = f"{int(self.idle_in_transaction_session_timeout * 1000)}ms"

        def configure(connection: Connection[Any]) -> None:
            connection.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [cut_off]
            )
            connection.isolation_level = IsolationLevel.READ_COMMITTED

        return configure

    def register_type_adapters(self) -> None:
        """Nothing: events are inserted as arrays, so the library's composite type is not needed."""
