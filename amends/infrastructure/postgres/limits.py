"""Limits, kept in the store's schema."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import tuple_row
from pydantic import TypeAdapter

from amends.domain.gate import Ended, Gate, Out
from amends.domain.limits import Limit
from amends.infrastructure.limits import (
    GRACE,
    IN_FORCE,
    LEASE,
    WAITS,
    InForce,
    LimitStatus,
    Opened,
    ParticipantStatus,
    Releases,
    Reserved,
    TypeStatus,
)
from amends.infrastructure.ports import Incoming
from amends.infrastructure.postgres.batch import QUERIES
from amends.infrastructure.postgres.datastore import SagaDatastore
from amends.infrastructure.postgres.patience import Patience
from amends.infrastructure.postgres.queries import load

_LIMIT: Final = TypeAdapter(Limit)
_GATE: Final = TypeAdapter(Gate)


class PostgresLimits:
    """The `Limits` port on PostgreSQL. The row of a participant is locked while its commands are released, so that
    several workers count right.
    """

    def __init__(self, datastore: SagaDatastore, patience: Patience, schema: str) -> None:
        self._datastore = datastore
        self._patience = patience
        self._schema = schema

    async def declare(self, limits: Collection[Limit], types: Mapping[str, int], *, anew: bool) -> InForce:
        return await self._patience.run(self._declare, limits, types, anew)

    async def in_force(self) -> InForce:
        return await self._patience.run(self._in_force)

    async def release(self, participant: str, at_most: int, *, own: bool = False) -> Releases:
        return await self._patience.run(self._release, participant, at_most, own)

    async def reserve(self, starts: Mapping[UUID, str]) -> Reserved:
        return await self._patience.run(self._reserve, starts)

    async def open(self, saga: str, at_most: int, *, own: bool = False) -> Opened:
        return await self._patience.run(self._open, saga, at_most, own)

    async def status(self) -> LimitStatus:
        return await self._patience.run(self._status)

    def _declare(self, limits: Collection[Limit], types: Mapping[str, int], anew: bool) -> InForce:
        told = {
            "participants": [limit.participant for limit in limits],
            "rules": [_LIMIT.dump_json(limit).decode() for limit in limits],
        }
        with self._datastore.get_connection() as connection, connection.transaction():
            if limits:
                self._execute(connection, "declare_limits", {**told, "anew": anew, "in_force": IN_FORCE})
            if types:
                told_types = {"sagas": list(types), "at_once": list(types.values())}
                arguments = {**told_types, "anew": anew, "in_force": IN_FORCE}
                self._execute(connection, "declare_type_limits", arguments)
        return self._in_force()

    def _in_force(self) -> InForce:
        with self._datastore.get_connection() as connection:
            rows = self._execute(connection, "limits_in_force", {"in_force": IN_FORCE})
        return InForce(
            frozenset(name for kind, name, now in rows if kind == "participant" and now),
            frozenset(name for kind, name, now in rows if kind == "type" and now),
            frozenset(name for kind, name, _ in rows if kind == "participant"),
            frozenset(name for kind, name, _ in rows if kind == "waiting"),
        )

    def _release(self, participant: str, at_most: int, own: bool) -> Releases:
        arguments = {"participant": participant, "in_force": IN_FORCE}
        with self._datastore.get_connection() as connection, connection.transaction():
            locked = self._execute(connection, "lock_gate", arguments)
            if not locked:
                return Releases()
            [(rules, stored, stands)] = locked
            limit = _LIMIT.validate_python(rules) if own or stands else Limit(participant)
            return self._pass(connection, limit, _GATE.validate_python(stored), at_most)

    def _pass(self, connection: Connection[Any], limit: Limit, before: Gate, at_most: int) -> Releases:
        named = {"participant": limit.participant}
        [(now, released, failed)] = self._execute(connection, "take_ended", named)
        gate = before.heard(limit.breaker, map(Ended, released, failed), now)
        counting = {**named, "since": gate.since, "now": now, "grace": GRACE}
        [(count, probes, waiting)] = self._execute(connection, "count_out", counting)
        room = gate.room(limit, Out(count, probes), now) if waiting else 0
        chosen: list[tuple[UUID, UUID]] = []
        if room != 0:
            most = at_most if room is None else min(room, at_most)
            choosing = {**named, "now": now, "limit": most, "lease": LEASE}
            found = self._execute(connection, "release_commands", choosing)
            chosen = [(saga, command) for saga, command, *_ in sorted(found, key=itemgetter(2, 3))]
        gate = gate.released(len(chosen), now)
        if gate != before:
            self._execute(connection, "save_gate", {**named, "gate": _GATE.dump_json(gate).decode()})
        if len(chosen) == at_most:
            return Releases(chosen, now)
        return Releases(chosen, gate.again(limit, now) if waiting else None)

    def _reserve(self, starts: Mapping[UUID, str]) -> Reserved:
        sagas = list(starts.values())
        with self._datastore.get_connection() as connection, connection.transaction():
            self._execute(connection, "lock_types", {"sagas": sagas, "in_force": IN_FORCE})
            arguments = {"saga_ids": list(starts), "sagas": sagas, "lease": LEASE}
            rows = self._execute(connection, "reserve_slots", arguments)
        return Reserved(
            frozenset(saga_id for saga_id, _, may, _ in rows if may),
            frozenset(saga for _, saga, _, full in rows if full),
        )

    def _open(self, saga: str, at_most: int, own: bool) -> Opened:
        with self._datastore.get_connection() as connection, connection.transaction():
            locked = self._execute(connection, "lock_types", {"sagas": [saga], "in_force": IN_FORCE})
            [(taken,)] = self._execute(connection, "count_taken", {"saga": saga})
            limits = [at_once for _, at_once, stands in locked if own or stands]
            free = max(0, limits[0] - taken) if limits else at_most + 1
            arguments = {"saga": saga, "room": min(free, at_most), "limit": at_most, "lease": LEASE}
            rows = self._execute(connection, "open_starts", arguments)
        started = sum(not runs for *_, runs, _ in rows)
        left = rows[0][-1] - len(rows) if rows else 0
        starts = [_waited(*row) for *row, _, _ in rows]
        return Opened(starts, has_room=free > started and not left)

    def _status(self) -> LimitStatus:
        with self._datastore.get_connection() as connection:
            participants = self._execute(
                connection, "participant_limits", {"in_force": IN_FORCE, "grace": GRACE}
            )
            types = self._execute(connection, "type_limits", {"in_force": IN_FORCE})
        return LimitStatus(
            [
                ParticipantStatus(
                    name,
                    _LIMIT.validate_python(rules) if stands else None,
                    _GATE.validate_python(gate),
                    *counts,
                )
                for name, rules, gate, stands, *counts in participants
            ],
            [TypeStatus(*row) for row in types],
        )

    def _execute(self, connection: Connection[Any], query: str, arguments: Mapping[str, Any]) -> list[Any]:
        cursor = connection.cursor(row_factory=tuple_row)
        cursor.execute(load(QUERIES, query, self._schema), arguments, prepare=True)
        return cursor.fetchall() if cursor.description else []


def _waited(
    subject: str, headers: str, body: bytes, received: datetime, sequence: int, consumer: str
) -> Incoming:
    return Incoming(subject, json.loads(headers), body, received, sequence, consumer=consumer, held=WAITS)
