"""Taking away what a measurement made: the schemas and the streams of its namespace, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection, sql

from amends.infrastructure.broker import streams
from amends.infrastructure.nats import Broker
from amends.infrastructure.nats.api import STREAM_NOT_FOUND

_ABSENT: Final = frozenset({STREAM_NOT_FOUND})


async def remove(database_url: str, nats_url: str, namespace: str) -> None:
    """The process manager's rows and all messages of this namespace are gone when this returns."""
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(namespace))
        )
    async with Broker(nats_url, name="cleaning", namespace=namespace) as broker:
        for spec in streams(namespace, timedelta(days=1)):
            await broker.api.find(f"STREAM.DELETE.{spec.name}", _ABSENT)
